/** Explanations: what a small plan's looks like, that the numbers add up for any plan, and what programs can be held to. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { explain, withTimes } from "../../../src/compiler/explain/explain.ts";
import type { ExplainTarget } from "../../../src/compiler/explain/explain.ts";
import type { Explanation } from "../../../src/compiler/explain/explanation.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { printWgsl } from "../../../src/compiler/wgsl/print.ts";
import {
  add,
  f32,
  fn,
  i32,
  logSumExp,
  matmul,
  mean,
  mul,
  scan,
  square,
  sub,
  sum,
  takeAlong,
  tanh,
  trace,
} from "../../../src/dsl/index.ts";
import type { Fn } from "../../../src/dsl/index.ts";
import { sameShape, sizeOf } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { arbitraryRun } from "../../support/random-program.ts";
import { INCREMENT, PlanBuilder, SMALL, f32s } from "../../runtime/webgpu/plans.ts";
import { randomPlan } from "../kernel/random-plan.ts";

const TARGET: ExplainTarget = {
  print: (kernel) => printWgsl(kernel, { f16: false }),
  dataBytes: ({ shape }) => 4 * sizeOf(shape),
  heldBytes: ({ shape }) => Math.max(16, 4 * sizeOf(shape)),
};

/** Kernels as their names, so that plans of empty kernels can be told apart. */
const NAMES: ExplainTarget = { ...TARGET, print: ({ name }) => name };

const traced = (f: unknown): Program => trace(f as Fn<never, unknown>).program; // any declared function

/** The explanation of a function's plan, with the plan without fusion to compare. */
function explained(f: unknown, fusion = true): Explanation {
  const program = traced(f);
  const unfused = schedule(program, { fusion: false });
  return explain(fusion ? schedule(program) : unfused, TARGET, { fusion, program, unfused });
}

/** x + 1 three times in a loop over it, with a constant, a copy and a test by the host. */
function smallPlan() {
  const b = new PlanBuilder();
  const [x, y] = [b.input([8]), b.output([8])];
  const [one, flag, a, t] = [
    b.constant(f32s(1)),
    b.temporary([1], "bool"),
    b.temporary([8]),
    b.temporary([8]),
  ];
  return b.plan(
    [y],
    { kind: "copy", from: x, to: a },
    {
      kind: "loop",
      length: 3,
      steps: [b.map(INCREMENT, [a, t]), { kind: "copy", from: t, to: a }],
    },
    b.map(SMALL, [one, flag]),
    { kind: "branch", flag, onTrue: [b.map(INCREMENT, [a, y])], onFalse: [b.map(INCREMENT, [x, y])] },
  );
}

describe("the explanation of a small plan", () => {
  const explanation = explain(smallPlan(), NAMES, { inputNames: ["state.x"], outputNames: ["y"] });

  it("says what each dispatch is, binds and costs", () => {
    expect(explanation.dispatches[0]).toEqual({
      index: 0,
      position: 1,
      name: "increment",
      ops: ["increment"],
      site: "model.ts:12",
      workgroups: 1,
      lanes: 64,
      sharedBytes: 0,
      runs: 3,
      pipeline: 0,
      flops: 3 * 8,
      bytesRead: 3 * 32,
      bytesWritten: 3 * 32,
      buffers: [
        { buffer: 4, role: "temporary", name: null, access: "read", shape: [8], dtype: "f32", bytes: 32 },
        { buffer: 5, role: "temporary", name: null, access: "write", shape: [8], dtype: "f32", bytes: 32 },
      ],
      nanoseconds: null,
    });
    expect(explanation.dispatches[3]?.buffers).toMatchObject([
      { role: "input", name: "state.x" },
      { role: "output", name: "y" },
    ]);
    expect(explanation.dispatches.map(({ position }) => position)).toEqual([1, 3, 5, 6]);
  });

  it("says which dispatches share their code", () => {
    expect(explanation.pipelines).toEqual([
      { name: "increment", code: "increment", dispatches: [0, 2, 3] },
      { name: "small", code: "small", dispatches: [1] },
    ]);
    expect(explanation.dispatches.map(({ pipeline }) => pipeline)).toEqual([0, 1, 0, 0]);
  });

  it("has copies, loops and what the host decides", () => {
    expect(explanation.copies).toMatchObject([
      { position: 0, from: 0, to: 4, runs: 1, bytesRead: 32, bytesWritten: 32 },
      { position: 2, from: 5, to: 4, runs: 3, bytesRead: 96, bytesWritten: 96 },
    ]);
    expect(explanation.control).toEqual([
      { kind: "loop", length: 3, depth: 0, first: 1, last: 2 },
      { kind: "branch", length: null, depth: 0, first: 4, last: 6 },
    ]);
  });

  it("sums up", () => {
    expect(explanation.totals).toEqual({
      dispatches: 4,
      dispatchesPerRun: 6,
      copies: 2,
      pipelines: 2,
      flops: 24 + 1 + 8 + 8,
      bytesRead: 96 + 4 + 32 + 32 + 32 + 96,
      bytesWritten: 96 + 4 + 32 + 32 + 32 + 96,
      nanoseconds: null,
    });
  });

  it("says where temporaries lie, and what lies there", () => {
    expect(explanation.temporaries).toEqual([
      { buffer: 3, shape: [1], dtype: "bool", bytes: 16, slot: 1, first: 3, last: 4 },
      { buffer: 4, shape: [8], dtype: "f32", bytes: 32, slot: 0, first: 0, last: 5 },
      { buffer: 5, shape: [8], dtype: "f32", bytes: 32, slot: 1, first: 1, last: 2 },
    ]);
    expect(explanation.memory).toEqual({
      slots: [
        { bytes: 32, temporaries: [4] },
        { bytes: 32, temporaries: [5, 3] },
      ],
      peakBytes: 64,
      lowerBoundBytes: 64,
      unsharedBytes: 80,
      inputBytes: 32,
      outputBytes: 32,
      inPlace: [],
      constantBytes: 16,
    });
  });

  it("is plain data of a known form", () => {
    expect(JSON.parse(JSON.stringify(explanation))).toEqual(explanation);
    expect(explanation.version).toBe(1);
    expect(Object.keys(explanation)).toEqual(["version", "totals", "fusion", "dispatches", "copies", "pipelines", "control", "memory", "temporaries"]); // prettier-ignore
  });

  it("takes times, one for each dispatch", () => {
    const timed = withTimes(explanation, [1, 2, 3, 4]);
    expect(timed.totals.nanoseconds).toBe(10);
    expect(timed.dispatches.map(({ nanoseconds }) => nanoseconds)).toEqual([1, 2, 3, 4]);
    expect(() => withTimes(explanation, [1])).toThrow("1 times for 4 dispatches");
  });
});

/** What must hold for any plan. */
function expectConsistent({
  dispatches,
  copies,
  pipelines,
  totals,
  memory,
  temporaries,
  fusion,
}: Explanation) {
  const rows = [...dispatches, ...copies];
  for (const cost of ["flops", "bytesRead", "bytesWritten"] as const)
    expect(rows.reduce((sum, row) => sum + row[cost], 0)).toBe(totals[cost]);
  expect(dispatches.map(({ index }) => index)).toEqual(dispatches.map((_, i) => i));
  expect(new Set(rows.map(({ position }) => position)).size).toBe(rows.length);
  expect(pipelines.flatMap((pipeline) => pipeline.dispatches).sort((a, b) => a - b)).toEqual(
    dispatches.map(({ index }) => index),
  );
  pipelines.forEach(({ dispatches: indices }, i) =>
    indices.forEach((index) => expect(dispatches[index]?.pipeline).toBe(i)),
  );
  expect(fusion.regions.reduce((sum, region) => sum + region.dispatches, 0)).toBe(dispatches.length);

  expect(memory.slots.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(memory.peakBytes);
  expect(memory.lowerBoundBytes).toBeLessThanOrEqual(memory.peakBytes);
  expect(memory.peakBytes).toBeLessThanOrEqual(memory.unsharedBytes);
  const byBuffer = new Map(temporaries.map((temporary) => [temporary.buffer, temporary]));
  expect(memory.slots.flatMap((slot) => slot.temporaries).length).toBe(
    temporaries.filter(({ slot }) => slot !== null).length,
  );
  memory.slots.forEach((slot, i) => {
    let end = -1;
    for (const id of slot.temporaries) {
      const found = byBuffer.get(id);
      expect(found?.slot).toBe(i);
      expect(found?.first).toBeGreaterThan(end);
      expect(found?.bytes).toBeLessThanOrEqual(slot.bytes);
      end = found?.last ?? end;
    }
  });
  // Positions are those of the memory plan: whoever touches a temporary does so while it is alive.
  const touches = [
    ...dispatches.flatMap(({ position, buffers }) => buffers.map(({ buffer }) => ({ position, buffer }))),
    ...copies.flatMap(({ position, from, to }) => [
      { position, buffer: from },
      { position, buffer: to },
    ]),
  ];
  for (const { position, buffer } of touches) {
    const alive = byBuffer.get(buffer);
    if (alive === undefined) continue;
    expect(alive.first).toBeLessThanOrEqual(position);
    expect(alive.last).toBeGreaterThanOrEqual(position);
  }
}

describe("numbers add up", () => {
  it("for random plans, with loops, whiles and branches", () => {
    fc.assert(fc.property(randomPlan, (plan) => expectConsistent(explain(plan, NAMES))));
  });

  it("for the plans of random programs", () => {
    const property = fc.property(arbitraryRun({ nesting: 1 }), fc.boolean(), ({ program }, fusion) =>
      expectConsistent(explain(schedule(program, { limits: MINIMUM_LIMITS, fusion }), TARGET)),
    );
    fc.assert(property, { numRuns: 50 });
  });
});

describe("fusion", () => {
  const chain = fn({ x: f32(8, 6) }, ({ x }) => tanh(mul(add(x, 1), 2)));

  it("is told by what one dispatch computes, inlined ops included", () => {
    const { fusion, dispatches, totals } = explained(chain);
    expect(dispatches.map(({ ops }) => ops)).toEqual([["add", "mul", "tanh"]]);
    expect(fusion).toMatchObject({ on: true, unfusedDispatches: expect.any(Number) });
    expect(fusion.unfusedDispatches).toBeGreaterThan(3);
    expect(fusion.regions).toEqual([{ ops: 3, dispatches: 1 }]);
    expect(totals).toMatchObject({ flops: 3 * 48, bytesRead: 4 * 48, bytesWritten: 4 * 48 });
  });

  it("changes no FLOPs where nothing is computed twice", () => {
    const [on, off] = [explained(chain), explained(chain, false)];
    expect(off.fusion.on).toBe(false);
    expect(off.totals.dispatches).toBe(on.fusion.unfusedDispatches);
    expect(off.totals.flops).toBe(on.totals.flops);
    expect(off.totals.bytesWritten).toBeGreaterThan(on.totals.bytesWritten);
  });

  it("names the line of the program", () => {
    for (const { site } of explained(chain).dispatches) expect(site).toMatch(/explain\.test\.ts:\d+:\d+$/);
  });

  it("gives a sum in slices its products in the first kernel, and what follows in the second", () => {
    const long = fn({ x: f32(16, 8192), w: f32(8192, 16) }, ({ x, w }) => tanh(matmul(x, w)));
    const { dispatches, totals } = explained(long);
    const products = 2 * 16 * 8192 * 16;
    expect(totals.flops).toBe(products + 256);
    expect(dispatches[0]).toMatchObject({ ops: ["dot"], flops: products });
    expect(dispatches.length).toBe(2);
    expect(dispatches[1]).toMatchObject({ ops: ["sum of slices", "tanh"], flops: 256 });
  });
});

describe("loops", () => {
  it("read and write each iteration's own part of what they go through", () => {
    const running = fn({ xs: f32(5, 32) }, ({ xs }) =>
      scan((carry, x) => [tanh(add(carry, x)), mul(carry, 2)] as const, sum(xs, 0), xs),
    );
    const { dispatches, control } = explained(running);
    expect(control).toMatchObject([{ kind: "loop", length: 5 }]);
    const inside = dispatches.filter(({ runs }) => runs === 5);
    expect(inside.length).toBeGreaterThan(0);
    const stacked = inside.flatMap(({ buffers }) => buffers).filter(({ shape }) => sameShape(shape, [5, 32]));
    expect(stacked.map(({ bytes }) => bytes)).toEqual([4 * 32, 4 * 32]);
    expect(inside.reduce((all, { bytesWritten }) => all + bytesWritten, 0)).toBe(5 * (4 * 32 + 4 * 32));
  });
});

describe("a program can be held to having no temporary of a shape", () => {
  const [BATCH, LENGTH, WIDTH, VOCAB] = [4, 6, 8, 50];
  const elements = BATCH * LENGTH * VOCAB;
  const hasLogits = ({ temporaries }: Explanation): boolean =>
    temporaries.some(({ shape }) => sizeOf(shape) === elements);

  it("which a softmax over products has", () => {
    const loss = fn(
      { h: f32(BATCH, LENGTH, WIDTH), table: f32(WIDTH, VOCAB), target: i32(BATCH, LENGTH, 1) },
      ({ h, table, target }) => {
        const logits = matmul(h, table);
        return mean(sub(logSumExp(logits, 2, { keepDims: true }), takeAlong(logits, target)));
      },
    );
    const { temporaries } = explained(loss);
    expect(temporaries.some(({ shape }) => sameShape(shape, [BATCH, LENGTH, VOCAB]))).toBe(true);
  });

  it("and a sum of squares of what it takes has not", () => {
    const squares = fn({ logits: f32(BATCH, LENGTH, VOCAB) }, ({ logits }) => mean(square(sub(logits, 1))));
    expect(hasLogits(explained(squares))).toBe(false);
    expect(hasLogits(explained(squares, false))).toBe(true);
  });
});
