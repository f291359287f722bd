/**
 * Attention, its tangent and its transpose in kernels that store no scores, against the interpreter: on the host, where races and accesses
 * out of bounds show, at many small sizes around those of blocks; and on a GPU with WebGPU's minimum limits.
 */
import { describe, expect, it } from "vitest";
import { toStorage } from "../../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { Plan, Step, TargetLimits } from "../../../src/compiler/kernel/plan.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { outputTypes, sizeOf } from "../../../src/dsl/program/program.ts";
import type { TensorType } from "../../../src/dsl/program/program.ts";
import {
  MODIFIERS,
  OPS,
  TO_NEIGHBOUR,
  TYPES,
  compare,
  named,
  noise,
  one,
  operandsOf,
  params,
  routineOf,
  stored,
  typesOfTangent,
} from "../../support/attention-cases.ts";
import type { Op, Case } from "../../support/attention-cases.ts";
import { difference, program } from "../../support/programs.ts";
import { runPlan } from "../../support/run-plan.ts";
import { PLAN_RUNNERS, planOf } from "../../support/stage-plan.ts";
import { unseenCases } from "../../support/unseen.ts";

const EDGES = [1, 3, 7, 8, 9, 31, 32, 33, 64, 65];
const BATCHES = [[], [2], [2, 1, 3], [3]];
/** Each size with some others, as queries and as keys; what else varies goes round. Few columns: the host is slow. */
const SMALL = EDGES.flatMap((queries, i) =>
  [0, 1, 4, 7].map((shift, j): Partial<Case> => {
    const keys = EDGES[(i + shift) % EDGES.length] as number;
    const modifiers = MODIFIERS[(i + j) % 4] as (typeof MODIFIERS)[number];
    return {
      queries,
      keys,
      batch: BATCHES[(i + 2 * j) % 4] as readonly number[],
      depth: [1, 4, 8, 5][(i + j) % 4] as number,
      width: [4, 1, 3, 8, 17][i % 5] as number,
      ...modifiers,
      causal: modifiers.causal && queries <= keys,
    };
  }),
);
/** Columns around those of lanes, workgroups and stages. */
const WIDE: readonly Partial<Case>[] = [
  { queries: 7, keys: 20, depth: 32, width: 33, ...MODIFIERS[3] },
  { queries: 33, keys: 40, depth: 33, width: 64, ...MODIFIERS[1] },
  { queries: 34, keys: 9, depth: 64, width: 32, batch: [], ...MODIFIERS[2] },
  { queries: 4, keys: 33, depth: 128, width: 130, batch: [1], ...MODIFIERS[1] },
  { queries: 33, keys: 33, depth: 130, width: 128, batch: [1] },
  { queries: 5, keys: 34, depth: 8, width: 260, batch: [], ...MODIFIERS[3] },
  { queries: 33, keys: 3, depth: 200, width: 4, batch: [1] },
];
const ON_GPU: readonly Partial<Case>[] = [
  { queries: 32, keys: 32, depth: 32, width: 32, batch: [2, 3] },
  { queries: 16, keys: 31, depth: 32, width: 32, ...MODIFIERS[3] },
  { queries: 65, keys: 65, depth: 32, width: 32, ...MODIFIERS[1] },
  { queries: 33, keys: 64, depth: 64, width: 64, ...MODIFIERS[3] },
  { queries: 65, keys: 9, depth: 33, width: 8, batch: [], ...MODIFIERS[2] },
  { queries: 31, keys: 65, depth: 128, width: 128, batch: [2, 1] },
  { queries: 64, keys: 65, depth: 1, width: 1, batch: [3], ...MODIFIERS[1] },
];

// Scores up to 40: lse in f16 is off by 1e-2, and so would weights be that are not divided by their sum.
const half = { depth: 8, width: 6, scale: 9, dtype: "f16" } as const;
const HALF: readonly Partial<Case>[] = [
  { queries: 12, keys: 14, ...half },
  { queries: 40, keys: 35, ...half },
  { queries: 9, keys: 40, ...half, causal: true },
];
describe.each(PLAN_RUNNERS)("%s", (where, run) => {
  describe.each(OPS)("%s", (op) => {
    const cases = where === "on the host" ? [...SMALL, ...WIDE] : ON_GPU;
    it.each(named(cases))("of %s", (_name, c) => compare(run, op, c));
    it.each(named(HALF))("in f16 of %s", (_name, c) => compare(run, op, c, TO_NEIGHBOUR));
  });
});

describe("on the host", () => {
  const [[, run]] = PLAN_RUNNERS as readonly [(typeof PLAN_RUNNERS)[0]];

  it.each(
    named([
      { queries: 12, keys: 20 },
      { queries: 9, keys: 33, width: 130, ...MODIFIERS[3] },
    ]),
  )("the tangent in one kernel, where it may have ten buffers: %s", async (_name, c) => {
    const limits = { ...MINIMUM_LIMITS, buffers: 10 };
    const routine = routineOf("attentionTangent", typesOfTangent(c), c, limits);
    expect(routine.stages.length).toBe(1);
    await compare(run, "attentionTangent", c, 2e-5, limits);
  });

  it("the maximum of a row may come late, and be far from the rest", async () => {
    const [[, c]] = named([{ queries: 33, keys: 65, depth: 2, width: 3, batch: [] }]) as [
      readonly [string, Case],
    ];
    const [q, k, v] = operandsOf("attention", c) as [ExactTensor, ExactTensor, ExactTensor];
    // Scores from -4 to 120, growing along the keys.
    const grow = (x: ExactTensor, by: (i: number) => number): ExactTensor => ({
      ...x,
      data: Float64Array.from(x.data, (_, i) => Math.fround(by(i))),
    });
    const inputs = [grow(q, () => 1.5), grow(k, (i) => i - 3), v];
    const types = inputs.map(({ shape, dtype }) => ({ shape, dtype }));
    const plan = planOf(routineOf("attention", types, c, MINIMUM_LIMITS), types, outputTypes(one("attention", types, c))); // prettier-ignore
    const expected = interpret(one("attention", types, c), inputs);
    expect(difference(stored(await run(plan, inputs)), stored(expected), 2e-5)).toBeUndefined();
  });
});

describe.each(PLAN_RUNNERS)("causal, %s:", (_where, run) => {
  // Written out, in one block of queries and keys, and in several.
  it.each([
    { queries: 2, keys: 5, depth: 3, width: 2 },
    { queries: 7, keys: 7, depth: 2, width: 5, softcap: 2 },
    { queries: 12, keys: 12, depth: 4, width: 3 },
    { queries: 34, keys: 40, depth: 3, width: 8, softcap: 1.5 },
  ])("%o does not notice what it does not see", async (sizes) => {
    for (const op of OPS) {
      const cases = unseenCases(op, sizes);
      const [first] = cases;
      const plan = schedule((first as (typeof cases)[0]).program); // of all of them
      for (const { name, program, inputs } of cases) {
        const actual = stored(await run(plan, inputs));
        expect(
          difference(actual, stored(interpret(program, inputs)), 1e-4),
          `${op}: ${name}`,
        ).toBeUndefined();
      }
    }
  });
});

describe("kernels of attention", () => {
  it("stay within the minimum limits at any size", () => {
    const [rows, columns] = [[1, 2, 5, 16, 33, 1000], [1, 8, 33, 64, 96, 129, 1000]]; // prettier-ignore
    for (const op of OPS)
      for (const [i, queries] of rows.entries())
        for (const depth of columns)
          for (const width of columns) {
            const keys = rows[(i + depth) % rows.length] as number;
            const [[name, c]] = named([{ queries, keys, depth, width }]) as [readonly [string, Case]];
            for (const { kernel } of routineOf(op, TYPES[op](c), c, MINIMUM_LIMITS).stages) {
              const words = kernel.shared.reduce((sum, { length }) => sum + length, 0);
              expect(words * 4, name).toBeLessThanOrEqual(MINIMUM_LIMITS.sharedBytes);
              expect(kernel.lanes, name).toBeLessThanOrEqual(MINIMUM_LIMITS.lanes);
              expect(kernel.buffers.length, name).toBeLessThanOrEqual(MINIMUM_LIMITS.buffers);
            }
          }
  });

  it("are the same for all numbers of problems and rows that suit a tile", () => {
    for (const op of OPS) {
      const [first, second] = named([
        { batch: [2], queries: 64, keys: 96, depth: 32, width: 32 },
        { batch: [3, 5], queries: 512, keys: 1024, depth: 32, width: 32 },
      ]).map(([, c]) => routineOf(op, TYPES[op](c), c, MINIMUM_LIMITS).stages.map(({ kernel }) => kernel));
      expect(first).toEqual(second);
    }
  });
});

const namesIn = (steps: readonly Step[]): readonly string[] =>
  steps.flatMap((step) =>
    step.kind === "dispatch" ? [step.kernel.name] : step.kind === "loop" ? namesIn(step.steps) : [],
  );

describe("the scheduler", () => {
  const [[, c]] = named([{ batch: [2], queries: 40, keys: 50, depth: 6, width: 5, causal: true }]) as [
    readonly [string, Case],
  ];
  const scores = (plan: Plan): number =>
    plan.buffers.filter(({ type }) => sizeOf(type.shape) >= 2 * c.queries * c.keys).length;

  it.each(OPS)("stores no scores of %s", (op) => {
    const alone = one(op, TYPES[op](c), c);
    expect(scores(schedule(alone))).toBe(0);
    expect(scores(schedule(alone, { fusion: false }))).toBeGreaterThan(0);
    const inputs = operandsOf(op, c);
    const [fused, unfused] = [true, false].map((fusion) =>
      stored(runPlan(schedule(alone, { fusion }), inputs.map(toStorage))),
    ) as [ExactTensor[], ExactTensor[]];
    expect(difference(fused, unfused, 2e-5)).toBeUndefined();
  });

  it("writes attention out where there are few rows, and where a device offers less than WebGPU", () => {
    const kernels = (given: Partial<Case>, limits: TargetLimits = MINIMUM_LIMITS): readonly string[] => {
      const [[, one_]] = named([{ ...c, causal: false, ...given }]) as [readonly [string, Case]];
      return namesIn(schedule(one("attention", TYPES.attention(one_), one_), { limits }).steps);
    };
    expect(kernels({})).toEqual(["attention"]);
    expect(kernels({ queries: 3 })).not.toContain("attention");
    expect(kernels({ queries: 8, keys: 8 })).not.toContain("attention");
    expect(kernels({}, { ...MINIMUM_LIMITS, sharedBytes: 8192 })).not.toContain("attention");
  });

  it("writes it out on a CPU where there are many rows, while their scores are few", () => {
    const software = { ...MINIMUM_LIMITS, software: true };
    const rows = (queries: number, keys: number, batch: number): readonly string[] => {
      const [[, given]] = named([{ ...c, causal: false, queries, keys, batch: [batch] }]) as [
        readonly [string, Case],
      ];
      return namesIn(schedule(one("attention", TYPES.attention(given), given), { limits: software }).steps);
    };
    expect(rows(32, 32, 2)).toEqual(["attention"]);
    expect(rows(32, 33, 2)).not.toContain("attention");
    expect(rows(4096, 4096, 1)).not.toContain("attention");
    expect(rows(4096, 4097, 1)).toEqual(["attention"]);
  });

  it("gives a variable that is two operands to a kernel in two buffers", () => {
    const self = program([{ dtype: "f32", shape: [2, 20, 6] }], (w, x) =>
      w.all("attention", [x, x, x], params(c)),
    );
    const input = noise(self.types[0] as TensorType, 1);
    const plan = schedule(self);
    expect(namesIn(plan.steps)).toEqual(["attention"]);
    const actual = stored(runPlan(plan, [toStorage(input)]));
    expect(difference(actual, stored(interpret(self, [input])), 2e-5)).toBeUndefined();
  });

  it("runs attention on slices in a loop", () => {
    const types = TYPES.attention(c);
    const body = one("attention", types, c);
    const looped = program(
      types.map(({ shape, dtype }) => ({ dtype, shape: [3, ...shape] })),
      (w, ...xs) => w.all("scan", xs, { body, length: 3, consts: 0, carry: 0, reverse: true }),
    );
    const inputs = looped.inputs.map((id) => noise(looped.types[id] as TensorType, id));
    const plan = schedule(looped);
    expect(namesIn(plan.steps)).toContain("attention");
    const actual = stored(runPlan(plan, inputs.map(toStorage)));
    expect(difference(actual, stored(interpret(looped, inputs)), 2e-5)).toBeUndefined();
  });
});

describe("on a GPU", () => {
  it("the transpose is the adjoint of the tangent", async () => {
    const [, [, run]] = PLAN_RUNNERS as readonly [unknown, (typeof PLAN_RUNNERS)[0]];
    const [[, c]] = named([
      { batch: [2, 2], queries: 70, keys: 90, depth: 32, width: 24, scale: 0.5, softcap: 2, causal: true },
    ]) as [readonly [string, Case]];
    const [tangents, cotangents] = [operandsOf("attentionTangent", c), operandsOf("attentionTranspose", c)];
    const results = async (op: Op, inputs: readonly ExactTensor[]): Promise<readonly ExactTensor[]> =>
      run(schedule(one(op, TYPES[op](c), c)), inputs);
    const product = (a: readonly ExactTensor[], b: readonly ExactTensor[]): number =>
      a.reduce(
        (sum, { data }, i) =>
          sum + Array.from(data).reduce((s, x, j) => s + x * (b[i]?.data[j] as number), 0),
        0,
      );
    const left = product(await results("attentionTangent", tangents), cotangents.slice(5));
    const right = product(tangents.slice(5), await results("attentionTranspose", cotangents));
    expect(Math.abs(left)).toBeGreaterThan(0.1);
    expect(Math.abs(left - right)).toBeLessThan(1e-4 * (1 + Math.abs(left)));
  }, 60_000);
});
