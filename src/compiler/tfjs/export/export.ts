/**
 * A declared function as a JavaScript module of TensorFlow.js calls, and its weights as bytes beside it: trace, optimize, lower, and write
 * the plan down. A page that imports it needs TensorFlow.js and nothing else. Pure and browser-safe.
 *
 * Consumed by users through the package's main entry. What a run looks like is in emit.ts, what the text begins with in helpers.ts.
 */
import { trace } from "../../../dsl/fn.ts";
import type { Fn, TracedFunction } from "../../../dsl/fn.ts";
import { roundToF16 } from "../../../dsl/numerics/float16.ts";
import { formatType, sizeOf, typeOf } from "../../../dsl/program/program.ts";
import type { TensorType } from "../../../dsl/program/program.ts";
import type { Sizes } from "../../../dsl/trace/sizes.ts";
import type { HostTensor } from "../../host-tensor.ts";
import { toNumbers } from "../../host-tensor.ts";
import { inlineCalls } from "../../passes/inline.ts";
import { optimize } from "../../passes/pipeline.ts";
import { storageOf } from "../plan.ts";
import type { Plan, Slot, Storage } from "../plan.ts";
import { EVERYWHERE, withoutFusion } from "../targets.ts";
import { toTfjs } from "../to-tfjs.ts";
import { Emitter } from "./emit.ts";
import { OPTIONAL, RUNTIME } from "./helpers.ts";

export interface TfjsExportOptions {
  /** Sizes of the named dimensions; the module has fixed shapes. */
  readonly sizes?: Sizes;
  /** What the module computes, in its first line; default "A program". */
  readonly name?: string;
  /**
   * Values of inputs that the module is to hold: a part of the function's tree of inputs, with numbers, typed arrays or host tensors as
   * leaves. The other inputs are given to each run.
   */
  readonly weights?: Readonly<Record<string, unknown>>;
  /** The weights go into the text, as base64, and there is no second file. Default false. */
  readonly inline?: boolean;
  /** A product, its bias and an activation are one call where every backend has it. Default true; false is for comparisons. */
  readonly fusion?: boolean;
}

/** What `exportTfjs` writes. */
export interface TfjsModule {
  /** The text of the ES module. */
  readonly code: string;
  /** What its `load` takes: the contents of the second file. Empty when there is nothing in it, or it is in the text. */
  readonly weights: Uint8Array;
}

/** A tensor that a module holds. */
interface Held {
  readonly slot: Slot;
  readonly shape: readonly number[];
  readonly storage: Storage;
  readonly values: number | readonly number[];
}

/** Constants of more numbers are with the weights. */
const FEW = 16;

/** The value in a tree at a path such as "params.blocks.0.weight"; undefined when there is none. */
function valueAt(tree: unknown, path: string): unknown {
  if (path === "") return tree;
  if (typeof tree !== "object" || tree === null) return undefined;
  for (const [key, value] of Object.entries(tree)) {
    if (path === key) return value;
    if (!path.startsWith(`${key}.`)) continue;
    const found = valueAt(value, path.slice(key.length + 1));
    if (found !== undefined) return found; // else another name, with a dot in it, may begin alike
  }
  return undefined;
}

/** What is given for a weight, as a list; undefined when it is nothing of the kind. */
function listOf(given: unknown): readonly unknown[] | undefined {
  if (typeof given === "number" || typeof given === "boolean") return [given];
  if (Array.isArray(given)) return given.flat(Infinity) as unknown[]; // nested rows
  if (typeof given !== "object" || given === null) return undefined;
  if ("dtype" in given) return toNumbers(given as HostTensor); // nothing else with numbers has a dtype
  return ArrayBuffer.isView(given) ? Array.from(given as unknown as ArrayLike<number>) : undefined; // numbers, or it is refused
}

/** The numbers of a weight. @throws RangeError when they are no numbers, or not as many as the input has */
function numbersOf(given: unknown, name: string, type: TensorType): readonly number[] {
  const list = listOf(given)?.map((x) => (typeof x === "boolean" ? Number(x) : x));
  const refuse = (why: string): never => {
    throw new RangeError(`exportTfjs: the weight "${name}" ${why}; it is ${formatType(type)}.`);
  };
  if (list === undefined || list.some((x) => typeof x !== "number"))
    return refuse("is neither numbers, nor a typed array, nor a host tensor");
  if (list.length !== sizeOf(type.shape)) return refuse(`has ${list.length} values`);
  const numbers = list as readonly number[]; // each was looked at
  if (type.dtype === "f16") return numbers.map(roundToF16);
  if (type.dtype === "bool") return numbers.map((x) => (x === 0 ? 0 : 1));
  return type.dtype === "u32" ? numbers.map((x) => x | 0) : numbers;
}

/** A number as JavaScript; JSON has no NaN, no infinities and no −0. */
const literal = (x: number): string => (Object.is(x, -0) ? "-0" : String(x));

/** Numbers one behind the other, four bytes each, little-endian. */
function packed(held: readonly Held[]): Uint8Array {
  const counts = held.map(({ shape }) => sizeOf(shape));
  const bytes = new Uint8Array(4 * counts.reduce((a, b) => a + b, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { storage, values } of held)
    for (const x of values as readonly number[]) {
      if (storage === "float32") view.setFloat32(at, x, true);
      else view.setInt32(at, x, true);
      at += 4;
    }
  return bytes;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function base64(bytes: Uint8Array): string {
  // Two digits at a time: weights are large.
  const pairs = Array.from({ length: 4096 }, (_, i) => `${DIGITS[i >> 6]}${DIGITS[i & 63]}`);
  const parts: string[] = [];
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b = 0, c = 0] = [bytes[i] as number, bytes[i + 1], bytes[i + 2]]; // i is within
    const word = (a << 16) | (b << 8) | c;
    parts.push(pairs[word >> 12] as string, pairs[word & 4095] as string); // twelve bits each
  }
  const missing = (3 - (bytes.length % 3)) % 3;
  const text = parts.join("");
  return text.slice(0, text.length - missing) + "=".repeat(missing);
}

interface Named {
  readonly name: string;
  readonly slot: Slot;
  readonly type: TensorType;
}

/** A name as a literal. What ends a line in a comment is escaped too. */
const quoted = (name: string): string =>
  JSON.stringify(name).replaceAll(/[\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16)}`);

const described = (list: readonly Named[]): string =>
  JSON.stringify(list.map(({ name, type: { dtype, shape } }) => ({ name, dtype, shape })));

/** Checks of what `load` is given. */
const NEEDS_WEIGHTS = `  if (typeof weights?.byteLength !== "number")
    throw new Error("The module needs its weights: load(tf, weights). They are bytes: an ArrayBuffer or a typed array.");`;
const NEEDS_CPU = `  if (!engine.findBackend("cpu"))
    throw new Error("The module computes a part on TensorFlow.js's backend \\"cpu\\": import @tensorflow/tfjs-backend-cpu too.");`;

/** What numbers that are given for an input go through, besides what their arrays do. */
const ROUND: { readonly [dtype: string]: "toF16" | "toBool" } = { f16: "toF16", bool: "toBool" };

/** Whether the numbers follow each other, as the counters of random bits do. */
const isRange = ({ storage, values }: Held): boolean =>
  storage === "int32" && typeof values !== "number" && values.every((x, i) => x === (values[0] ?? 0) + i);

/** The values of a constant as a JavaScript list. */
function listed(held: Held): string {
  const values = [held.values].flat();
  if (values.length <= FEW) return `[${values.map(literal).join(", ")}]`;
  return `Array.from({ length: ${values.length} }, (_, i) => i + ${literal(values[0] as number)})`; // there are more than a few
}

/** The text of a module. */
function moduleText(
  plan: Plan,
  parts: {
    readonly inputs: readonly Named[];
    readonly outputs: readonly Named[];
    readonly few: readonly Held[];
    readonly many: readonly Held[];
  },
  { name, inline }: { readonly name: string; readonly inline: string | undefined },
): string {
  const { inputs, outputs, few, many } = parts;
  const emitter = new Emitter();
  const lines = emitter.block(plan.main);
  for (const { type } of inputs) {
    const round = ROUND[type.dtype];
    if (round !== undefined) emitter.helpers.add(round);
  }
  const shape = (one: { readonly shape: readonly number[] }): string => JSON.stringify(one.shape);
  const constants = few.map((one) => `[${one.slot}, ${listed(one)}, ${shape(one)}, "${one.storage}"],`);
  const weights = many.map((one) => `[${one.slot}, ${sizeOf(one.shape)}, ${shape(one)}, "${one.storage}"],`);
  const takesWeights = many.length > 0 && inline === undefined;
  const takeLine = ({ name, type }: Named): string => {
    const round = ROUND[type.dtype];
    return `      take(${quoted(name)}, given, ${shape(type)}, "${type.dtype}"${round === undefined ? "" : `, ${round}`}),\n`;
  };
  const makeLine = ({ slot, type }: Named, i: number): string =>
    `      (t[${slot}] = make(taken[${i}], ${shape(type)}, "${type.dtype}")),\n`;
  return `// ${name.replaceAll(/\s+/g, " ")}. Written by Fluxion: calls of TensorFlow.js, and nothing else.
//
//   const model = await load(tf${takesWeights ? ', await (await fetch("…")).arrayBuffer()' : ""});
//   const outputs = await model.run({ ${inputs.map(({ name }) => `${quoted(name)}: …`).join(", ")} });
//
// Inputs are numbers in row-major order, or tensors; outputs are tensors of the selected backend, by name, and the caller's to dispose of.

export const inputs = ${described(inputs)};
export const outputs = ${described(outputs)};

${RUNTIME}
${[...emitter.helpers].map((helper) => OPTIONAL[helper]).join("\n")}
/** Slots, values, shapes and dtypes. */
const CONSTANTS = [
${constants.map((line) => `  ${line}`).join("\n")}
];
/** Slots, counts, shapes and dtypes of what lies in the weights, in this order, four bytes a number. */
const WEIGHTS = [
${weights.map((line) => `  ${line}`).join("\n")}
];
${inline === undefined ? "" : `const INLINE = "${inline}";\n`}
const TYPES = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

/** Makes the tensors of constants and weights. \`tf\` is the module of TensorFlow.js, with a backend selected and ready. */
export async function load(tf${takesWeights ? ", weights" : ""}) {
  if (typeof tf?.engine !== "function") throw new Error("load takes the module of TensorFlow.js: load(tf${takesWeights ? ", weights" : ""}).");
${takesWeights ? `${NEEDS_WEIGHTS}\n` : ""}${
    many.length === 0
      ? ""
      : `${inline === undefined ? "  const bytes = new Uint8Array(weights.buffer ?? weights, weights.byteOffset ?? 0, weights.byteLength);" : "  const bytes = Uint8Array.from(atob(INLINE), (c) => c.charCodeAt(0));"}
  const total = WEIGHTS.reduce((sum, [, count]) => sum + 4 * count, 0);
  if (bytes.length !== total) throw new Error(\`These are \${bytes.length} bytes of weights; the module has \${total}.\`);
`
  }  const engine = tf.engine();
${emitter.needsCpu ? `${NEEDS_CPU}\n` : ""}  const held = [];
  const hold = (slot, values, shape, dtype) => {
    held[slot] = tf.keep(engine.makeTensor(values, shape, dtype));
  };
  for (const [slot, values, shape, dtype] of CONSTANTS) {
    const array = new TYPES[dtype](sizeOf(shape));
    if (values.length === 1) array.fill(values[0]);
    else array.set(values);
    hold(slot, array, shape, dtype);
  }
${
  many.length === 0
    ? ""
    : `  let at = 0;
  for (const [slot, count, shape, dtype] of WEIGHTS) {
    const part = bytes.slice(at, (at += 4 * count)).buffer;
    const words = dtype === "float32" ? new Float32Array(part) : new Int32Array(part);
    hold(slot, dtype === "bool" ? Uint8Array.from(words) : words, shape, dtype);
  }
`
}  let [running, ended] = [0, false];
  const free = () => {
    if (ended && running === 0) for (const tensor of held.splice(0)) tensor?.dispose();
  };
  return {
    run: async (given = {}) => {
      if (ended) throw new Error("The model was disposed of, and runs no more: load it again.");
      running++;
      try {
        return await run(tf, held, given);
      } finally {
        running--;
        free();
      }
    },
    /** Runs that go on are ended first. */
    dispose: () => {
      ended = true;
      free();
    },
  };
}

async function run(tf, held, given) {
  const { alive, make, kernel, onCpu, copy, end, reshape, slice, stack } = workspace(tf);
  const share = (x) => reshape(x, x.shape, x.dtype === "int32" ? "i32" : "f32");
  const t = held.slice();
  try {
    const taken = await Promise.all([
${inputs.map(takeLine).join("")}    ]);
    const own = [
${inputs.map(makeLine).join("")}    ];
${lines.map((line) => `    ${line}\n`).join("")}    end(...own);
    return { ${outputs.map(({ name, slot }) => `[${quoted(name)}]: t[${slot}]`).join(", ")} };
  } catch (error) {
    for (const tensor of alive) tensor.dispose();
    throw error;
  }
}
`;
}

/**
 * Writes a declared function as an ES module of TensorFlow.js calls (version 4.22), for any of its backends. The module exports
 * `load(tf, weights)`; what that gives has `run` and `dispose`. Inputs and outputs are named by their paths in the function's trees, such
 * as `params.blocks.0.weight`; a function of one tensor has "input" and "output". Loops, branches and random bits are a part of the text.
 * @throws OpError when a name has no size or an op of the function breaks its rule; the message names the line
 * @throws RangeError when a weight has not as many values as its input
 */
export function exportTfjs<In, Out>(f: Fn<In, Out>, options: TfjsExportOptions = {}): TfjsModule {
  const traced = trace(f as unknown as Fn<never, unknown>, options.sizes); // trace makes the input itself
  return moduleOf({ ...traced, program: optimize(inlineCalls(traced.program)) }, options);
}

/** A program with names for its inputs and outputs. */
type NamedProgram = Pick<TracedFunction, "program" | "inputNames" | "outputNames">;

/** The module of a program whose calls are inlined. Throws what {@link exportTfjs} does. */
export function moduleOf(
  { program, inputNames, outputNames }: NamedProgram,
  { name = "A program", weights = {}, inline = false, fusion = true }: TfjsExportOptions = {},
): TfjsModule {
  const plan = toTfjs(program, fusion ? EVERYWHERE : withoutFusion(EVERYWHERE));
  const all = plan.main.inputs.map((slot, i): Named => {
    const id = program.inputs[i] as number; // the plan has the program's inputs
    return { name: inputNames[i] as string, slot, type: typeOf(program, id) };
  });
  const given = all.map((one) => valueAt(weights, one.name));
  for (const key of Object.keys(weights))
    if (!all.some(({ name }) => name === key || name.startsWith(`${key}.`)))
      throw new RangeError(`exportTfjs: the weight "${key}" is not an input of the function.`);
  const bound = all.flatMap(({ name, slot, type }, i): Held[] => {
    if (given[i] === undefined) return [];
    return [
      { slot, shape: type.shape, storage: storageOf(type.dtype), values: numbersOf(given[i], name, type) },
    ];
  });
  const isFew = (one: Held): boolean =>
    typeof one.values === "number" || one.values.length <= FEW || isRange(one);
  const few = plan.constants.filter(isFew);
  const many = [...plan.constants.filter((one) => !isFew(one)), ...bound];
  const bytes = packed(many);
  const outputs = plan.main.outputs.map((slot, i): Named => {
    const id = program.outputs[i] as number; // the plan has the program's outputs
    return { name: outputNames[i] as string, slot, type: typeOf(program, id) };
  });
  const parts = { inputs: all.filter((_, i) => given[i] === undefined), outputs, few, many };
  const code = moduleText(plan, parts, {
    name,
    inline: inline && many.length > 0 ? base64(bytes) : undefined,
  });
  return { code, weights: inline ? new Uint8Array() : bytes };
}
