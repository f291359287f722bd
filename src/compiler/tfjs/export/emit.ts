/**
 * A plan as the body of a JavaScript function: one line for each call of a kernel, loops and branches as such. The tensors of a run are
 * \`t[0]\`, \`t[1]\`, …, by slot.
 *
 * Consumed by `export.ts`. To add a kind of step: a case in `linesOf`.
 */
import type { AnyEquation } from "../../../dsl/program/program.ts";
import { typeOf } from "../../../dsl/program/program.ts";
import type { Block, CallStep, HostStep, ScanStep, Slot, Step } from "../plan.ts";
import { ELEMENTWISE, OPTIONAL } from "./helpers.ts";

export type Helper = keyof typeof OPTIONAL;

const json = (value: unknown): string => JSON.stringify(value);
const tensor = (slot: Slot): string => `t[${slot}]`;
const tensors = (slots: readonly Slot[]): string => `[${slots.map(tensor).join(", ")}]`;
const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

/** Writes the lines of blocks, and remembers which helpers they call. */
export class Emitter {
  readonly helpers = new Set<Helper>();
  #needsCpu = false;

  /** Whether a call is for the backend "cpu", whichever is selected. */
  get needsCpu(): boolean {
    return this.#needsCpu;
  }

  /** The lines that run a block whose inputs are in their slots. */
  block({ steps, releases }: Block): readonly string[] {
    return [
      ...this.#release(releases[0]),
      ...steps.flatMap((step, i) => [...this.#linesOf(step), ...this.#release(releases[i + 1])]),
    ];
  }

  #release(slots: readonly Slot[] = []): readonly string[] {
    return slots.length === 0 ? [] : [`end(${slots.map(tensor).join(", ")});`];
  }

  #linesOf(step: Step): readonly string[] {
    switch (step.kind) {
      case "call":
        return this.#call(step);
      case "host":
        return this.#host(step);
      case "scan":
        return this.#scan(step);
      case "cond":
        return [
          `if ((await ${tensor(step.predicate)}.data())[0] === 1) {`,
          ...indented(this.#branch(step.onTrue, step.outputs)),
          "} else {",
          ...indented(this.#branch(step.onFalse, step.outputs)),
          "}",
        ];
      case "while":
        return [
          ...step.carried.map(
            (slot, i) => `${tensor(step.body.inputs[i] as Slot)} = share(${tensor(slot)});`,
          ), // one for each
          "for (;;) {",
          ...indented([
            `${tensors(step.condition.inputs)} = ${tensors(step.body.inputs)};`,
            ...this.block(step.condition),
            `const goesOn = (await ${tensor(step.condition.outputs[0] as Slot)}.data())[0] === 1;`, // it has one
            `end(${tensor(step.condition.outputs[0] as Slot)});`,
            "if (!goesOn) break;",
            ...this.block(step.body),
            `${tensors(step.body.inputs)} = ${tensors(step.body.outputs)};`,
          ]),
          "}",
          `${tensors(step.outputs)} = ${tensors(step.body.inputs)};`,
        ];
    }
  }

  #branch(block: Block, outputs: readonly Slot[]): readonly string[] {
    return [...this.block(block), `${tensors(outputs)} = ${tensors(block.outputs)};`];
  }

  #call({ kernel, inputs, attributes, output, cpu }: CallStep): readonly string[] {
    this.#needsCpu ||= cpu !== undefined;
    const copied = [...new Set(cpu?.copied)];
    const operand = (slot: Slot): string => (copied.includes(slot) ? `c${slot}` : tensor(slot));
    const operands = Array.isArray(inputs)
      ? `[${inputs.map((slot: Slot) => operand(slot)).join(", ")}]`
      : `{ ${Object.entries(inputs).map(([name, slot]) => `${name}: ${operand(slot)}`).join(", ")} }`; // prettier-ignore
    const call = `${cpu === undefined ? "kernel" : "onCpu"}(${json(kernel)}, ${operands}, ${json(attributes)})`;
    const line = `${tensor(output)} = ${call};`;
    if (copied.length === 0) return [line];
    const names = copied.map((slot) => `c${slot}`);
    return [
      "{",
      ...copied.map((slot) => `  const c${slot} = await copy(${tensor(slot)});`),
      `  ${line}`,
      `  end(${names.join(", ")});`,
      "}",
    ];
  }

  #host({ program, inputs, outputs }: HostStep): readonly string[] {
    const dtypeOf = (id: number): string => typeOf(program, id).dtype;
    const lines = program.inputs.map(
      (id, i) => `const v${id} = await read(${tensor(inputs[i] as Slot)}, ${json(dtypeOf(id))});`, // one for each
    );
    for (const equation of program.equations)
      lines.push(this.#equation(equation, (id) => typeOf(program, id)));
    const results = program.outputs.map((id, i) => {
      const { shape, dtype } = typeOf(program, id);
      return `${tensor(outputs[i] as Slot)} = make(new ARRAYS[${json(dtype)}](v${id}), ${json(shape)}, ${json(dtype)});`;
    });
    return ["{", ...indented([...lines, ...results]), "}"];
  }

  #equation(
    { op, inputs, outputs, params }: AnyEquation,
    type: (id: number) => { readonly shape: readonly number[]; readonly dtype: string },
  ): string {
    const [x, y] = inputs as readonly [number, number?];
    const result = outputs.map((id) => `v${id}`);
    switch (op) {
      case "threefry":
        return `const [${result.join(", ")}] = ${this.#helper("threefry")}(${inputs.map((id) => `v${id}`).join(", ")});`;
      case "sort":
        return `const [${result.join(", ")}] = ${this.#helper("sort")}(v${x}, ${json(type(x).shape)}, ${json(params.axis)});`;
      case "broadcast":
        return `const ${result[0]} = ${this.#helper("broadcast")}(v${x}, ${json(type(x).shape)}, ${json(params.shape)}, ${json(params.dims)});`;
      case "cast":
        return `const ${result[0]} = ${this.#cast(`v${x}`, type(x).dtype, params.dtype)};`;
      default: {
        const text = ELEMENTWISE[op];
        if (text === undefined) throw new Error(`tfjs: ${op} has no text for an exported module`);
        if (op === "erf") this.#helper(op);
        const second = y === undefined ? "" : `const y = v${y}[i]; `;
        return `const ${result[0]} = each(v${x}, (x, i) => { const d = ${json(type(x).dtype)}; ${second}return ${text}; });`;
      }
    }
  }

  /** Numbers of one dtype as those of another; words wrap where they are stored. */
  #cast(values: string, from: string, to: string): string {
    if (to === "bool") return `each(${values}, ${this.#helper("toBool")})`;
    if (!from.startsWith("f") || to.startsWith("f")) return values;
    const bounds = to === "i32" ? "-(2 ** 31), 2 ** 31 - 1" : "0, 2 ** 32 - 1";
    return `each(${values}, (x) => ${this.#helper("toWord")}(x, ${bounds}))`;
  }

  #helper(name: Helper): Helper {
    this.helpers.add(name);
    return name;
  }

  #scan({ length, reverse, carried, scanned, body, outputs, stacked }: ScanStep): readonly string[] {
    const count = carried.length;
    const states = body.inputs.slice(0, count);
    const slices = body.inputs.slice(count);
    const results = body.outputs.slice(count);
    // Integers are cut and joined there.
    const dtypes = [...scanned.map(({ type }) => type), ...stacked].map(({ dtype }) => dtype);
    this.#needsCpu ||= dtypes.some((dtype) => dtype === "i32" || dtype === "u32");
    return [
      "{",
      ...indented([
        ...carried.map((slot, i) => `${tensor(states[i] as Slot)} = share(${tensor(slot)});`), // one for each
        ...results.map((_, i) => `const rows${i} = [];`),
        reverse ? `for (let i = ${length - 1}; i >= 0; i--) {` : `for (let i = 0; i < ${length}; i++) {`,
        ...indented([
          ...scanned.map(
            ({ slot, type: { shape, dtype } }, n) =>
              `${tensor(slices[n] as Slot)} = slice(${tensor(slot)}, i, ${json(shape)}, ${json(dtype)});`,
          ),
          ...this.block(body),
          ...results.map((slot, i) => `rows${i}.${reverse ? "unshift" : "push"}(${tensor(slot)});`),
          `${tensors(states)} = ${tensors(body.outputs.slice(0, count))};`,
        ]),
        "}",
        ...outputs.slice(0, count).map((slot, i) => `${tensor(slot)} = ${tensor(states[i] as Slot)};`),
        ...outputs.slice(count).map((slot, i) => {
          const { shape, dtype } = stacked[i] as { shape: readonly number[]; dtype: string }; // one for each
          return `${tensor(slot)} = stack(rows${i}, ${json(shape)}, ${json(dtype)});`;
        }),
      ]),
      "}",
    ];
  }
}
