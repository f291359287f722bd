/**
 * Reads the text form of programs (see print.ts): `print(parse(text)) === text` for printed texts. Line breaks and indentation do
 * not matter; `//` starts a comment. Consumed by tests, snapshots and tools.
 */
import { DTYPES } from "../types/dtype.ts";
import type { DType } from "../types/dtype.ts";
import { isOpKind, paramsProblem } from "./params.ts";
import type { AnyEquation, Program, TensorType, VarId } from "./program.ts";
import { constantProblem, typesProblem } from "./verify.ts";

/** Text that is not a program: the message starts with the line number (from 1). */
export class ParseError extends Error {
  override readonly name = "ParseError";
  readonly line: number;

  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`);
    this.line = line;
  }
}

interface Token {
  readonly text: string;
  readonly line: number;
}

// Comments, space, variables, numbers, words (with the sign of -inf), brackets; anything else is an error when it is met.
const TOKEN = /\/\/[^\n]*|\s+|%\d+|-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])|-?\w+|./gu;
const NUMBER = /^-?\d+(\.\d+)?(e[-+]?\d+)?$/;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (const [token] of text.matchAll(TOKEN)) {
    if (!/^(\s|\/\/)/.test(token)) tokens.push({ text: token, line });
    line += token.split("\n").length - 1;
  }
  tokens.push({ text: "end of text", line });
  return tokens;
}

/** Parses and checks a program. @throws ParseError naming the line where text, types or parameters are wrong. */
export function parse(text: string): Program {
  const reader = new Reader(tokenize(text));
  reader.expect("program");
  const program = reader.block();
  reader.expect("end of text");
  return program;
}

/** A position in the tokens and the grammar's rules as methods. */
class Reader {
  private readonly tokens: readonly Token[];
  private position = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  private token(ahead: number): Token {
    const at = Math.min(Math.max(this.position + ahead, 0), this.tokens.length - 1);
    return this.tokens[at] as Token; // there is at least the end
  }

  private peek(ahead = 0): string {
    return this.token(ahead).text;
  }

  private next(): string {
    const text = this.peek();
    this.position++;
    return text;
  }

  /** Blames the line of the token that was read last. */
  private fail(message: string, line = this.token(-1).line): never {
    throw new ParseError(line, message);
  }

  expect(text: string): void {
    if (this.peek() !== text) this.fail(`expected ${text}, found ${this.peek()}`, this.token(0).line);
    this.position++;
  }

  private accept(text: string): boolean {
    if (this.peek() !== text) return false;
    this.position++;
    return true;
  }

  /** `(%0: f32[2], …) { equations return … }`. Numbers are names here: the program counts from 0 in order of definition. */
  block(): Program {
    const types: TensorType[] = [];
    const ids = new Map<string, VarId>();
    const declare = (): VarId => {
      const name = this.variable();
      if (ids.has(name)) this.fail(`${name} is defined twice`);
      this.expect(":");
      ids.set(name, types.length);
      return types.push(this.type()) - 1;
    };
    const use = (): VarId => {
      const name = this.variable();
      return ids.get(name) ?? this.fail(`${name} is used before it is defined`);
    };

    const inputs: VarId[] = [];
    this.expect("(");
    while (!this.accept(")")) {
      if (inputs.length > 0) this.expect(",");
      inputs.push(declare());
    }
    this.expect("{");
    const equations: AnyEquation[] = [];
    while (this.peek() !== "return") equations.push(this.equation(types, declare, use));
    this.expect("return");
    const outputs: VarId[] = [];
    while (!this.accept("}")) outputs.push(use());
    return { inputs, equations, outputs, types };
  }

  /** `%2: f32[2], %3: f32[] = op name=value %0 %1`. Outputs may be none. */
  private equation(types: readonly TensorType[], declare: () => VarId, use: () => VarId): AnyEquation {
    const line = this.token(0).line;
    const start = this.position;
    // The inputs are resolved before the outputs are declared, so that an equation cannot use itself.
    while (this.peek() !== "=" && !["}", "return", "end of text"].includes(this.peek())) this.position++;
    if (!this.accept("=")) this.fail("expected outputs = op …", line);
    const op = this.next();
    if (!isOpKind(op)) this.fail(`there is no op ${op}`, line);
    const params: Record<string, unknown> = {};
    while (this.peek(1) === "=" && !this.peek().startsWith("%")) {
      const name = this.next();
      this.expect("=");
      if (Object.hasOwn(params, name)) this.fail(`parameter ${name} is given twice`);
      params[name] = this.value();
    }
    const inputs: VarId[] = [];
    while (this.peek().startsWith("%") && ![":", ","].includes(this.peek(1))) inputs.push(use());
    const end = this.position;
    this.position = start;
    const outputs: VarId[] = [];
    while (this.peek() !== "=") {
      if (outputs.length > 0) this.expect(",");
      outputs.push(declare());
    }
    this.position = end;

    const equation = { op, inputs, outputs, params } as unknown as AnyEquation; // checked by the next lines
    const pick = (ids: readonly VarId[]): TensorType[] => ids.map((id) => types[id] as TensorType); // declared
    const problem =
      paramsProblem(op, params) ??
      (equation.op === "constant" ? constantProblem(equation.params) : undefined) ??
      typesProblem(equation, pick(inputs), pick(outputs));
    if (problem !== undefined) this.fail(`${op}: ${problem}`, line);
    return equation;
  }

  private variable(): string {
    const text = this.next();
    return /^%\d+$/.test(text) ? text : this.fail(`expected a variable such as %0, found ${text}`);
  }

  private type(): TensorType {
    const dtype = this.next();
    if (!isDType(dtype)) this.fail(`expected a type such as f32[2,3], found ${dtype}`);
    const shape = this.list(() => {
      const dim = this.next();
      return /^\d+$/.test(dim) ? Number(dim) : this.fail(`expected an extent, found ${dim}`);
    });
    return { shape, dtype };
  }

  private list<T>(item: () => T): T[] {
    const items: T[] = [];
    this.expect("[");
    while (!this.accept("]")) {
      if (items.length > 0) this.expect(",");
      items.push(item());
    }
    return items;
  }

  private value(): unknown {
    if (this.peek() === "(") return this.block();
    if (this.peek() === "[") return this.list(() => this.value());
    const word = this.next();
    if (word === "true" || word === "false") return word === "true";
    if (NUMBER.test(word) && word !== "-0") return Number(word);
    return /^-?[a-zA-Z]\w*$|^-0$/.test(word) ? word : this.fail(`expected a value, found ${word}`);
  }
}

const isDType = (text: string): text is DType => (DTYPES as readonly string[]).includes(text);
