/**
 * Causal attention, its tangent and its transpose where a NaN or an infinity stands in a row of one operand: whoever does not see the row
 * must not notice; and where what is seen has low scores. Consumed by the tests of each target.
 */
import { exactTensor, toExact, toStorage } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { sizeOf } from "../../src/dsl/program/program.ts";
import type { AttentionParams, Program, TensorType } from "../../src/dsl/program/program.ts";
import { program } from "./programs.ts";

export const ATTENTION_OPS = ["attention", "attentionTangent", "attentionTranspose"] as const;
type Op = (typeof ATTENTION_OPS)[number];

export interface Unseen {
  readonly name: string;
  readonly program: Program;
  readonly inputs: readonly ExactTensor[];
}

export interface UnseenSizes {
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
  readonly width: number;
  readonly softcap?: number;
}

/** Of all cases of the same sizes, so that one plan serves them. */
const paramsOf = (softcap: number): AttentionParams => ({ scale: 0.4, softcap, causal: true });

/** The first query sees keys of scores far below that of a mask such as -1e30, and not those of score 0. */
function lowScores({ queries, keys, depth, width }: UnseenSizes): Unseen {
  const params = paramsOf(0);
  const first = (shape: readonly number[], value: (row: number) => number): ExactTensor => {
    const [, rows, columns] = shape as readonly [number, number, number];
    const values = Array.from({ length: sizeOf(shape) }, (_, i) =>
      i % columns === 0 ? Math.fround(value(Math.floor(i / columns) % rows)) : 0,
    );
    return exactTensor("f32", shape, values);
  };
  const inputs = [
    first([2, queries, depth], () => 1),
    first([2, keys, depth], (row) => (row <= keys - queries ? -3e31 * (1 + row) : 0)),
    noise([2, keys, width], 2),
  ];
  return {
    name: "scores below that of a mask",
    program: program(typesOf(inputs), (w, ...ids) => w.all("attention", ids, params)),
    inputs,
  };
}

/**
 * One case for each operand and value, in the first, a middle, or the last row of the second of two problems; and one of scores that
 * are low.
 */
export function unseenCases(op: Op, sizes: UnseenSizes): readonly Unseen[] {
  const specks = specksOf(op, sizes);
  return op === "attention" && (sizes.softcap ?? 0) === 0 ? [...specks, lowScores(sizes)] : specks;
}

function specksOf(op: Op, sizes: UnseenSizes): readonly Unseen[] {
  const { queries, keys, depth, width, softcap = 0 } = sizes;
  const params = paramsOf(softcap);
  const shapes = { q: [2, queries, depth], k: [2, keys, depth], v: [2, keys, width], o: [2, queries, width], lse: [2, queries] }; // prettier-ignore
  const { q, k, v, o, lse } = shapes;
  const linear = { attention: [], attentionTangent: [q, k, v], attentionTranspose: [o, lse] }[op];
  const names = { attention: [], attentionTangent: ["q̇", "k̇", "v̇"], attentionTranspose: ["ō", "the cotangent of lse"] }[op]; // prettier-ignore
  const operands = [q, k, v, ...linear];
  return operands.flatMap((_, n) =>
    [NaN, Infinity, -Infinity].flatMap((value, kind): readonly Unseen[] => {
      // An infinite score has no meaning that targets share, and infinite cotangents of queries none that sums keep.
      if (kind > 0 && !(op === "attention" && n === 2)) return [];
      const given = operands.map((shape, m) => noise(shape, m));
      const { data, shape } = given[n] as ExactTensor;
      const rows = shape[1] as number;
      return [0, Math.floor(rows / 2), rows - 1].map((row): Unseen => {
        const changed = data.slice() as Float64Array<ArrayBuffer>;
        changed[(rows + row) * ((shape[2] as number | undefined) ?? 1)] = value;
        const inputs = given.map((tensor, m) => (m === n ? { ...tensor, data: changed } : tensor));
        const primal = inputs.slice(0, 3);
        const results = op === "attention" ? [] : outputsOf(params, primal);
        const all = [...primal, ...results, ...inputs.slice(3)];
        const operand = ["q", "k", "v", ...names][n];
        return {
          name: `${value} in row ${row} of ${operand}`,
          program: program(typesOf(all), (w, ...ids) => w.all(op, ids, params)),
          inputs: all,
        };
      });
    }),
  );
}

const typesOf = (tensors: readonly ExactTensor[]): readonly TensorType[] =>
  tensors.map(({ shape, dtype }) => ({ shape, dtype }));

const outputsOf = (params: AttentionParams, qkv: readonly ExactTensor[]): readonly ExactTensor[] =>
  interpret(
    program(typesOf(qkv), (w, ...ids) => w.all("attention", ids, params)),
    qkv,
  ).map((tensor) => toExact(toStorage(tensor)));

/** Numbers in (-1, 1) without order. */
const noise = (shape: readonly number[], seed: number): ExactTensor =>
  exactTensor(
    "f32",
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => Math.fround(Math.sin(i * 12.9898 + seed * 78.233))),
  );
