/** What runs kernels on the host computes as the IR says, and finds each kind of mistake. */
import { expect, it } from "vitest";
import {
  KernelBuilder,
  LANE,
  WORKGROUP,
  below,
  binary,
  cast,
  index,
  literal,
  plus,
  select,
  shuffle,
  subgroup,
  subgroupSum,
  times,
} from "../../src/compiler/kernel/builder.ts";
import type { Expr, Scalar } from "../../src/compiler/kernel/ir.ts";
import { runKernel } from "./run-kernel.ts";

const LANES = 4;
const SIZE = 8;

/** Runs a kernel of two workgroups of four lanes; it has buffers 0 (to read) and 1, a workgroup array, and one parameter. */
function run(write: (builder: KernelBuilder, id: Expr, param: Expr) => void): readonly number[] {
  const builder = new KernelBuilder();
  builder.buffer({ dtype: "f32", access: "read" });
  builder.buffer({ dtype: "f32", access: "readWrite" });
  builder.shared({ type: "f32", length: LANES });
  const param = builder.param();
  write(builder, builder.let(plus(times(WORKGROUP, index(LANES)), LANE)), param);
  const [from, to] = [Float64Array.from({ length: SIZE }, (_, i) => i), new Float64Array(SIZE)];
  runKernel(builder.finish("tried", LANES), { buffers: [from, to], params: [2], workgroups: 2 });
  return [...to];
}

const load = (buffer: number, at: Expr): Expr => ({ kind: "load", type: "f32", buffer, at });
const shared = (at: Expr): Expr => ({ kind: "shared", type: "f32", array: 0, at });
const store = (builder: KernelBuilder, at: Expr, value: Expr): void =>
  builder.emit({ kind: "store", buffer: 1, at, value });
const share = (builder: KernelBuilder, at: Expr, value: Expr): void =>
  builder.emit({ kind: "storeShared", array: 0, at, value });
const opposite = binary("sub", index(LANES - 1), LANE);

it("computes in f32, with barriers between lanes", () => {
  const reversed = run((builder, id) => {
    share(builder, LANE, binary("add", load(0, id), literal("f32", 2 ** 24)));
    builder.barrier();
    store(builder, id, binary("sub", shared(opposite), literal("f32", 2 ** 24)));
  });
  // Odd numbers are lost, to the nearest even ones.
  expect(reversed).toEqual([4, 2, 0, 0, 8, 6, 4, 4]);
});

it("runs loops, branches and parameters", () => {
  const sums = run((builder, id, param) => {
    const sum = builder.variable(literal("f32", 0));
    builder.for(index(0), index(6), param, (i) =>
      builder.if(
        below(i, id),
        () => builder.assign(sum, binary("add", sum, load(0, i))),
        () => builder.assign(sum, binary("sub", sum, literal("f32", 1))),
      ),
    );
    store(builder, id, sum);
  });
  expect(sums).toEqual([-3, -2, -2, 1, 1, 6, 6, 6]);
});

const exchanged = (size: number, write: (builder: KernelBuilder) => Expr): readonly number[] => {
  const builder = new KernelBuilder();
  builder.buffer({ dtype: "f32", access: "write" });
  const value = write(builder);
  builder.emit({ kind: "store", buffer: 0, at: LANE, value });
  const data = new Float64Array(SIZE);
  runKernel(builder.finish("exchanging", SIZE), { buffers: [data], workgroups: 1, subgroup: size });
  return [...data];
};

it("exchanges values within a subgroup, whatever its size", () => {
  const own = cast("f32", LANE);
  const sums = (size: number): readonly number[] => exchanged(size, (b) => b.let(subgroupSum(own)));
  expect(sums(4)).toEqual([6, 6, 6, 6, 22, 22, 22, 22]);
  expect(sums(2)).toEqual([1, 1, 5, 5, 9, 9, 13, 13]);
  expect(sums(16)).toEqual(Array.from({ length: SIZE }, () => 28));
  const next = binary("rem", plus(subgroup("lane"), index(1)), subgroup("size"));
  expect(exchanged(4, (b) => b.let(shuffle(own, next)))).toEqual([1, 2, 3, 0, 5, 6, 7, 4]);
  expect(exchanged(4, () => cast("f32", subgroup("number")))).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  // Between barriers, and in loops as well.
  const rounds = exchanged(4, (b) => {
    const array = b.shared({ type: "f32", length: SIZE });
    const sum = b.variable(literal("f32", 0));
    b.for(index(0), index(2), index(1), (round) => {
      b.emit({ kind: "storeShared", array, at: LANE, value: subgroupSum(own) });
      b.barrier();
      const other: Expr = { kind: "shared", type: "f32", array, at: binary("sub", index(SIZE - 1), LANE) };
      b.assign(sum, binary("add", sum, binary("mul", shuffle(other, round), literal("f32", 1))));
      b.barrier();
    });
    return sum;
  });
  expect(rounds).toEqual([44, 44, 44, 44, 12, 12, 12, 12]);
});

it.each<[string, (builder: KernelBuilder) => Expr]>([
  ["a lane asks lane 4 of a subgroup of 4", () => shuffle(cast("f32", LANE), index(4))],
  [
    "exchange values at different places, or some do not",
    (b) => {
      const sum = b.variable(literal("f32", 0));
      b.if(below(LANE, index(2)), () => b.assign(sum, subgroupSum(cast("f32", LANE))));
      return sum;
    },
  ],
])("finds that %s", (message, write) => {
  expect(() => exchanged(4, write)).toThrow(message);
});

it("keeps what f16 holds in arrays of f16, and finds what it does not hold", () => {
  const through = (value: number): readonly number[] =>
    exchanged(4, (b) => {
      const array = b.shared({ type: "f32", length: SIZE, half: true });
      b.emit({ kind: "storeShared", array, at: LANE, value: literal("f32", value) });
      return { kind: "shared", type: "f32", array, at: LANE };
    });
  expect(through(0.25)[0]).toBe(0.25);
  expect(() => through(0.1)).toThrow("in workgroup array 0, which is of f16");
});

const MISTAKES: readonly (readonly [message: string, write: (builder: KernelBuilder, id: Expr) => void])[] = [
  ["loads element 8 of buffer 0, which has 8", (b, id) => store(b, id, load(0, plus(id, index(1))))],
  // Both sides of a select are evaluated.
  [
    "loads element 8 of buffer 0, which has 8",
    (b, id) => store(b, id, select(below(id, index(7)), load(0, plus(id, index(1))), literal("f32", 0))),
  ],
  ["stores element 8 of buffer 1, which has 8", (b, id) => store(b, plus(id, index(1)), load(0, id))],
  ["two lanes store element 0 of buffer 1", (b, id) => store(b, WORKGROUP, load(0, id))],
  [
    "one lane loads element 0 of buffer 1, another stores it",
    (b, id) => {
      const value = b.let(load(1, binary("xor", id, index(1))));
      b.barrier(); // orders workgroup memory only
      store(b, id, value);
    },
  ],
  ["before it is stored", (b, id) => store(b, id, shared(LANE))],
  [
    "loads element 0 of workgroup array 0, another lane's, without a barrier",
    (b, id) => {
      share(b, LANE, load(0, id));
      store(b, id, shared(index(0)));
    },
  ],
  [
    "stores element 1 of workgroup array 0, which another lane loads, without a barrier",
    (b, id) => {
      share(b, LANE, load(0, id));
      b.barrier();
      const value = b.let(shared(binary("rem", plus(LANE, index(1)), index(LANES))));
      share(b, LANE, value);
      store(b, id, value);
    },
  ],
  [
    "two lanes store element 0 of workgroup array 0 without a barrier",
    (b, id) => share(b, index(0), load(0, id)),
  ],
  [
    "the lanes of workgroup 0 wait at different barriers, or some at none",
    (b) => b.if(below(LANE, index(2)), () => b.barrier()),
  ],
  [
    "stores to buffer 0, which is not one to store to",
    (b, id) => b.emit({ kind: "store", buffer: 0, at: id, value: load(0, id) }),
  ],
  ["the second operand of add is u32, expected f32", (b, id) => store(b, id, binary("add", load(0, id), id))],
  ["uses loose, which nothing in scope binds", (b, id) => store(b, id, named("loose", "f32"))],
];
const named = (name: string, type: Scalar): Expr => ({ kind: "name", type, name });

it.each(MISTAKES)("finds that a kernel %s", (message, write) => {
  expect(() => run(write)).toThrow(message);
});
