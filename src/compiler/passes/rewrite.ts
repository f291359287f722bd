/**
 * The engine of the passes: walks a program in order, offers every equation to a rule, and writes a new program with the
 * rule's replacements. Variables are renumbered without gaps; a program's inputs and outputs keep their number, order and types.
 *
 * Consumed by every pass in this folder. All new equations come from `Rewriter.emit` or `Rewriter.keep`, which attribute
 * them to the user's line that made the original.
 */
import { inferTypes } from "../../dsl/ops/index.ts";
import {
  decodeScalar,
  encodeScalar,
  formatType,
  isProgram,
  sameType,
  typeOf,
} from "../../dsl/program/program.ts";
import type { AnyEquation, OpKind, OpParams, Program, TensorType, VarId } from "../../dsl/program/program.ts";
import { copySite } from "../../dsl/trace/callsite.ts";

/**
 * What takes the place of an equation: variables of the new program for its outputs, or undefined to keep it. The equation's
 * inputs are variables of the new program already; its output numbers have no meaning. `types` are those of its outputs.
 */
export type RewriteRule = (
  equation: AnyEquation,
  rewriter: Rewriter,
  types: readonly TensorType[],
) => readonly VarId[] | undefined;

/** The equation that a new one is attributed to. */
export type Origin = Pick<AnyEquation, "op" | "inputs">;

/** Applies a rule to every equation of the program itself (not of nested ones: see {@link mapNested}). */
export function rewrite(program: Program, rule: RewriteRule): Program {
  const rewriter = new Rewriter();
  const renamed: Renaming = [];
  for (const id of program.inputs) renamed[id] = rewriter.input(typeOf(program, id));
  rewriter.replay(program, renamed, rule);
  return rewriter.finish(program.outputs.map((id) => lookUp(renamed, id)));
}

/** The new variable of each old one. */
type Renaming = VarId[];

const sameIds = (a: readonly VarId[], b: readonly VarId[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);

function lookUp(renamed: Readonly<Renaming>, id: VarId): VarId {
  const found = renamed[id];
  if (found === undefined) throw new Error(`%${id} is used before it is defined: the program is not legal`);
  return found;
}

/** A program under construction, and what a rule may ask about the variables so far. */
export class Rewriter {
  private readonly inputs: VarId[] = [];
  private readonly equations: AnyEquation[] = [];
  private readonly types: TensorType[] = [];
  private readonly definitions: (AnyEquation | undefined)[] = [];

  private define(type: TensorType, by: AnyEquation | undefined): VarId {
    this.definitions.push(by);
    return this.types.push(type) - 1;
  }

  input(type: TensorType): VarId {
    const id = this.define(type, undefined);
    this.inputs.push(id);
    return id;
  }

  typeOf(id: VarId): TensorType {
    return this.types[id] as TensorType; // rules get ids from this rewriter only
  }

  /** The equation that defines a variable; undefined for an input of the program. */
  definition(id: VarId): AnyEquation | undefined {
    return this.definitions[id];
  }

  /** The parameters of the equation that defines a variable, if that is an `op`; and its inputs. */
  defined<K extends OpKind>(
    id: VarId,
    op: K,
  ): { readonly params: OpParams[K]; readonly inputs: readonly VarId[] } | undefined {
    const equation = this.definitions[id];
    // The pair of op and params was checked when the equation was made.
    return equation?.op === op
      ? { params: equation.params as OpParams[K], inputs: equation.inputs }
      : undefined;
  }

  /** The value that all elements have, if the variable is a constant written as one scalar. */
  uniform(id: VarId): number | undefined {
    const values = this.defined(id, "constant")?.params.values;
    return values === undefined || typeof values === "object" ? undefined : decodeScalar(values);
  }

  /** Appends `op[params](inputs)`, a descendant of the equation `from`. @throws OpError when the op refuses its inputs. */
  emit<K extends OpKind>(
    op: K,
    inputs: readonly VarId[],
    params: OpParams[K],
    from: Origin,
  ): readonly VarId[] {
    const types = inferTypes(
      op,
      inputs.map((id) => this.typeOf(id)),
      params,
    );
    return this.append({ op, inputs, params } as unknown as AnyEquation, types, from); // K ties op and params
  }

  /** {@link emit} for ops with one output. */
  one<K extends OpKind>(op: K, inputs: readonly VarId[], params: OpParams[K], from: Origin): VarId {
    return this.emit(op, inputs, params, from)[0] as VarId; // the op's shape rule gives exactly one type
  }

  /** A constant with one value everywhere. */
  fill({ shape, dtype }: TensorType, value: number, from: Origin): VarId {
    return this.one("constant", [], { shape, dtype, values: encodeScalar(value) }, from);
  }

  /** Appends the equation as it is; its types, where they are known, need not be inferred again. */
  keep(equation: AnyEquation, types?: readonly TensorType[]): readonly VarId[] {
    const known =
      types ??
      inferTypes(
        equation.op,
        equation.inputs.map((id) => this.typeOf(id)),
        equation.params,
      );
    return this.append(equation, known, equation);
  }

  private append(shell: AnyEquation, types: readonly TensorType[], from: Origin): readonly VarId[] {
    const outputs = types.map((type) => this.define(type, undefined));
    // Equations are never changed, so one that stays as it is may be part of both programs.
    const stays = shell === from && sameIds(shell.outputs, outputs);
    const equation: AnyEquation = stays ? shell : copySite(from, { ...shell, outputs });
    for (const id of outputs) this.definitions[id] = equation;
    this.equations.push(equation);
    return outputs;
  }

  /** Appends a program's equations; `renamed` has the variables here of its inputs and is completed with all others. */
  replay(program: Program, renamed: Renaming, rule: RewriteRule = () => undefined): void {
    for (const original of program.equations) {
      const inputs = original.inputs.map((id) => lookUp(renamed, id));
      const equation = sameIds(inputs, original.inputs)
        ? original
        : copySite(original, { ...original, inputs });
      const types = original.outputs.map((id) => typeOf(program, id));
      // Variables are replaced by others of the same type only, so the types of what is kept are known.
      const outputs = rule(equation, this, types) ?? this.keep(equation, types);
      original.outputs.forEach((id, i) => {
        const [before, after] = [types[i] as TensorType, this.typeOf(outputs[i] as VarId)];
        if (!sameType(before, after))
          throw new Error(`a rule for ${original.op} made ${formatType(after)} of ${formatType(before)}`);
        renamed[id] = outputs[i] as VarId; // checked by the line above: undefined has no type
      });
    }
  }

  /** Appends a nested program's equations in place of a call. */
  inline(program: Program, inputs: readonly VarId[]): readonly VarId[] {
    const renamed: Renaming = [];
    program.inputs.forEach((id, i) => (renamed[id] = inputs[i] as VarId)); // a call has the program's inputs
    this.replay(program, renamed);
    return program.outputs.map((id) => lookUp(renamed, id));
  }

  finish(outputs: readonly VarId[]): Program {
    return { inputs: this.inputs, equations: this.equations, outputs, types: this.types };
  }
}

/** The equation with `f` applied to each of its nested programs; the same equation when it has none. */
export function mapNested(equation: AnyEquation, f: (program: Program) => Program): AnyEquation {
  const entries = Object.entries(equation.params as Readonly<Record<string, unknown>>); // a union of plain records
  if (entries.length === 0 || !entries.some(([, value]) => isProgram(value))) return equation;
  const params = Object.fromEntries(
    entries.map(([name, value]) => [name, isProgram(value) ? f(value) : value]),
  );
  return copySite(equation, { ...equation, params } as unknown as AnyEquation); // same op, same parameter names
}

/** The equation with other inputs, outputs or parameters, of the same op. */
export function withParts(
  equation: AnyEquation,
  parts: Partial<Pick<AnyEquation, "inputs" | "outputs" | "params">>,
): AnyEquation {
  return copySite(equation, { ...equation, ...parts } as AnyEquation); // callers pass parameters of the same op
}
