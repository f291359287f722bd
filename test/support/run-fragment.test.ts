/** Fragments on the host are what the IR says, for subgroups of any size; and each kind of mistake is found. */
import { describe, expect, it } from "vitest";
import {
  KernelBuilder,
  LANE,
  below,
  binary,
  cast,
  index,
  subgroup,
  times,
} from "../../src/compiler/kernel/builder.ts";
import type { Expr, Fragment, FragmentPlace } from "../../src/compiler/kernel/ir.ts";
import { runKernel } from "./run-kernel.ts";

const LANES = 8;
const [ROWS, COLUMNS, INNER] = [2, 4, 3];

/** Buffers 0 and 1, of f16, are loaded from, and buffer 2, of f32, stored to. */
function run(
  write: (builder: KernelBuilder) => void,
  left: readonly number[] = [],
  right: readonly number[] = [],
  size = 4,
): readonly number[] {
  const builder = new KernelBuilder();
  builder.buffer({ dtype: "f16", access: "read" });
  builder.buffer({ dtype: "f16", access: "read" });
  builder.buffer({ dtype: "f32", access: "write" });
  write(builder);
  const out = new Float64Array(40);
  const buffers = [Float64Array.from(left), Float64Array.from(right), out];
  runKernel(builder.finish("tried", LANES), { buffers, workgroups: 1, subgroup: size });
  return [...out];
}

const buffer = (
  position: number,
  at: Expr,
  stride: number,
  order: FragmentPlace["order"],
): FragmentPlace => ({
  memory: { kind: "buffer", position },
  at,
  stride: index(stride),
  order,
});
const shared = (position: number, at: Expr, stride: number): FragmentPlace => ({
  memory: { kind: "shared", position },
  at,
  stride: index(stride),
  order: "row-major",
});
const LEFT = { role: "left", rows: ROWS, columns: INNER, element: "f16" } as const;
const RIGHT = { role: "right", rows: INNER, columns: COLUMNS, element: "f16" } as const;
const SUMS = { rows: ROWS, columns: COLUMNS, element: "f32" } as const;

/** Multiplies what is at the two places, twice over, and stores at 20 for each subgroup. */
function multiply(builder: KernelBuilder, left: FragmentPlace, right: FragmentPlace): void {
  const sums = builder.zeroFragment(SUMS);
  builder.for(index(0), index(2), index(1), () => {
    const [x, y] = [builder.loadFragment(LEFT, left), builder.loadFragment(RIGHT, right)];
    builder.emit({ kind: "multiplyAccumulate", accumulator: sums, left: x, right: y });
  });
  const to = buffer(2, times(subgroup("number"), index(20)), 9, "row-major");
  builder.emit({ kind: "storeFragment", fragment: sums, to });
}

/** A matrix of counted elements, (row, column) at `at + row · down + column · across`. */
function laid(
  rows: number,
  columns: number,
  at: number,
  [down, across]: readonly [down: number, across: number],
  first: number,
): readonly number[] {
  const data = Array.from({ length: 24 }, () => 99);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) data[at + i * down + j * across] = first + i * columns + j;
  return data;
}
// Twice [[1 2 3] [4 5 6]] · [[0 1 2 3] [4 5 6 7] [8 9 10 11]].
const PRODUCT = [64, 76, 88, 100, 136, 166, 196, 226];

describe("fragments", () => {
  it.each(["row-major", "column-major"] as const)("are loaded, multiplied and stored: %s", (order) => {
    const rowMajor = order === "row-major";
    const steps = (n: number): readonly [down: number, across: number] => (rowMajor ? [n, 1] : [1, n]);
    const left = laid(ROWS, INNER, 2, steps(7), 1);
    const right = laid(INNER, COLUMNS, 1, steps(5), 0);
    for (const size of [4, 8]) {
      const out = run(
        (builder) => multiply(builder, buffer(0, index(2), 7, order), buffer(1, index(1), 5, order)),
        left,
        right,
        size,
      );
      for (const group of Array.from({ length: LANES / size }, (_, i) => i * 20))
        expect([...out.slice(group, group + 4), ...out.slice(group + 9, group + 13)]).toEqual(PRODUCT);
      expect(out.filter((value) => value !== 0)).toHaveLength((LANES / size) * 8);
    }
  });

  it("sum in their own type", () => {
    const add = (element: "f16" | "f32"): readonly number[] =>
      run(
        (b) => {
          const array = b.shared({ type: "f32", length: 1, ...(element === "f16" ? { half: true } : {}) });
          const one = { rows: 1, columns: 1 } as const;
          const sums = b.zeroFragment({ ...one, element });
          const load = (role: "left" | "right", position: number, at: number): Fragment =>
            b.loadFragment({ ...one, role, element: "f16" }, buffer(position, index(at), 1, "row-major"));
          for (const at of [0, 1])
            b.emit({
              kind: "multiplyAccumulate",
              accumulator: sums,
              left: load("left", 0, at),
              right: load("right", 1, at),
            });
          b.emit({ kind: "storeFragment", fragment: sums, to: shared(array, index(0), 1) });
          b.barrier();
          b.if(below(LANE, index(1)), () =>
            b.emit({
              kind: "store",
              buffer: 2,
              at: LANE,
              value: { kind: "shared", type: "f32", array, at: LANE },
            }),
          );
        },
        [2048, 1],
        [1, 1],
        8,
      );
    expect(add("f32")[0]).toBe(2049);
    expect(add("f16")[0]).toBe(2048); // f16 has every second number there
  });

  const staged = (b: KernelBuilder): number => {
    const array = b.shared({ type: "f32", length: LANES, half: true });
    b.emit({ kind: "storeShared", array, at: LANE, value: cast("f32", LANE) });
    return array;
  };
  it.each<[string, (builder: KernelBuilder) => void]>([
    [
      "another lane's, without a barrier",
      (b) => {
        const part = b.loadFragment(LEFT, shared(staged(b), index(0), 3));
        b.emit({
          kind: "storeFragment",
          fragment: part,
          to: shared(b.shared({ type: "f32", length: 6, half: true }), index(0), 3),
        });
      },
    ],
    [
      "which another lane loads, without a barrier",
      (b) => {
        const array = staged(b);
        b.barrier();
        b.loadFragment(LEFT, shared(array, index(0), 3));
        b.emit({ kind: "storeShared", array, at: LANE, value: cast("f32", LANE) });
      },
    ],
    [
      "two lanes store element 0 of buffer 2",
      (b) =>
        b.emit({
          kind: "storeFragment",
          fragment: b.zeroFragment(SUMS),
          to: buffer(2, index(0), 4, "row-major"),
        }),
    ],
    [
      "have different places for a fragment",
      (b) => {
        const at = binary("min", LANE, index(1));
        b.emit({ kind: "storeFragment", fragment: b.zeroFragment(SUMS), to: buffer(2, at, 4, "row-major") });
      },
    ],
    [
      "at different places, or some do not",
      (b) =>
        b.if(below(LANE, index(2)), () =>
          b.emit({
            kind: "storeFragment",
            fragment: b.zeroFragment(SUMS),
            to: buffer(2, index(0), 4, "row-major"),
          }),
        ),
    ],
    [
      "loads element 9 of buffer 0, which has 9",
      (b) => b.loadFragment(LEFT, buffer(0, index(3), 4, "row-major")),
    ],
    ["a stride of 2 is too short", (b) => b.loadFragment(LEFT, buffer(0, index(0), 2, "row-major"))],
    [
      "keeps left of 2 x 3 f16 in buffer 2 of f32",
      (b) => b.loadFragment(LEFT, buffer(2, index(0), 3, "row-major")),
    ],
    [
      "multiplies left of 2 x 3 f16 by left of 2 x 3 f16 for accumulator of 2 x 4 f32, which do not fit",
      (b) => {
        const left = b.loadFragment(LEFT, buffer(0, index(0), 3, "row-major"));
        b.emit({ kind: "multiplyAccumulate", accumulator: b.zeroFragment(SUMS), left, right: left });
      },
    ],
  ])("are refused: %s", (message, write) => {
    const nine = Array.from({ length: 9 }, () => 1);
    expect(() => run(write, nine, nine)).toThrow(message);
  });
});
