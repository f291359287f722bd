/** The tuner: what it keeps and drops, its table, and that the next compile uses it. */
import { afterAll, describe, expect, it, vi } from "vitest";
import { toExact } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import { configName, dotCandidates, rungName } from "../../../src/compiler/schedule/dot/candidates.ts";
import { chooseDot } from "../../../src/compiler/schedule/dot/dot.ts";
import type { DotConfig } from "../../../src/compiler/schedule/dot/dot.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { dotProgram, exactOperand } from "../../../src/runtime/webgpu/dot-alone.ts";
import { WebGpuExecutable } from "../../../src/runtime/webgpu/executable.ts";
import { explainWebGpu } from "../../../src/runtime/webgpu/explain.ts";
import { openNodeGpu } from "../../../src/runtime/webgpu/node.ts";
import {
  adapterKey,
  dotKey,
  EMPTY_TABLE,
  parseTable,
  tunedDots,
  withResults,
} from "../../../src/runtime/webgpu/tune-table.ts";
import {
  chooseMeasured,
  disagreeing,
  dotsOf,
  resultsOf,
  tuneProgram,
} from "../../../src/runtime/webgpu/tune.ts";
import type { Measured } from "../../../src/runtime/webgpu/tune.ts";
import { typeOf } from "../../../src/dsl/program/program.ts";
import { difference, program } from "../../support/programs.ts";

// Software adapters take seconds to compile a kernel.
vi.setConfig({ testTimeout: 120_000 });

const SHAPE = { batch: 1, rows: 3, columns: 40, inner: 600 };
const LAYOUT = { left: "k", right: "k" } as const;

const opened: WebGpuDevice[] = [];
afterAll(() => Promise.all(opened.map((device) => device.dispose())));
async function openDevice(profile: boolean): Promise<WebGpuDevice> {
  const gpu = await openNodeGpu({ limits: "minimum" });
  const device = new WebGpuDevice(gpu, { profile: profile && gpu.features.has("timestamp-query") });
  opened.push(device);
  return device;
}

describe("a choice", () => {
  const configs = dotCandidates(SHAPE, LAYOUT, MINIMUM_LIMITS);
  const timed = (...times: readonly (number | undefined)[]): readonly Measured[] =>
    times.map((nanoseconds, i) => ({
      config: configs[i] as DotConfig, // there are so many
      nanoseconds,
      problem: nanoseconds === undefined ? "wrong" : undefined,
    }));
  it.each<[string, readonly (number | undefined)[], number | undefined]>([
    ["is the fastest", [100, 80, 70], 2],
    ["is the heuristic's unless another beats it by more than 5 %", [105, 100], undefined],
    ["is another from there on", [106, 100], 1],
    ["is never one that was dropped", [100, undefined], undefined],
    ["is another where the heuristic's was dropped", [undefined, 200, 100], 2],
    ["is the heuristic's where all were dropped", [undefined, undefined], undefined],
  ])("%s", (_name, times, expected) => {
    const measured = timed(...times);
    expect(chooseMeasured(measured)).toBe(expected === undefined ? undefined : measured[expected]);
  });

  it("drops results that are not those of most, and where that is even, the later ones", () => {
    const of = (...results: readonly (readonly number[])[]) =>
      disagreeing(results.map((result, config) => ({ config, result })));
    expect(of([1, 2], [1, 2], [1, 2])).toEqual([]);
    expect(of([1, 3], [1, 2], [1, 2])).toEqual([0]);
    expect(of([1, 2], [1, 3])).toEqual([1]);
    expect(of([0, 1], [-0, 1])).toEqual([]);
    // What is no number agrees with nothing.
    expect(of([1, NaN], [1, NaN], [1, 2], [1, 2])).toEqual([0, 1]);
    expect(of([1], [1, 2], [1, 2])).toEqual([0]);
    expect(of()).toEqual([]);
  });

  it("does not ask those that have no say, and believes none of them alone", () => {
    const of = (...results: readonly number[]) =>
      disagreeing(
        results.map((result, config) => ({ config, result: [result] })),
        (config) => config < 1,
      );
    expect(of(1, 2, 2, 2)).toEqual([1, 2, 3]);
    expect(of(1, 2, 1)).toEqual([1]);
    expect(disagreeing([{ config: 5, result: [1] }], () => false)).toEqual([5]);
  });
});

describe("a table", () => {
  const dots = new Map([["8x8x8x8 k,k", { rung: "direct", slices: 1 }]]);

  it("counts sizes by the next power of two", () => {
    expect(dotKey({ batch: 1, rows: 5, columns: 8, inner: 9 }, LAYOUT)).toBe("1x8x8x16 k,k f32");
    const half = { ...LAYOUT, dtype: "f16" } as const;
    expect(dotKey({ batch: 1, rows: 5, columns: 8, inner: 9 }, half)).toBe("1x8x8x16 k,k f16");
    expect(dotKey({ batch: 3, rows: 1, columns: 2, inner: 0 }, { left: "row", right: undefined })).toBe("4x1x2x1 row,none f32"); // prettier-ignore
  });

  it("keeps what it had, and forgets where the heuristic decides again", () => {
    const one = withResults(EMPTY_TABLE, "a", dots);
    const two = withResults(withResults(one, "b", dots), "a", new Map([["x", { rung: "y", slices: 2 }]]));
    expect(Object.keys(two.adapters["a"] ?? {})).toEqual(["8x8x8x8 k,k", "x"]);
    const without = withResults(two, "a", new Map([["8x8x8x8 k,k", undefined]]));
    expect(without.adapters).toEqual({ a: { x: { rung: "y", slices: 2 } }, b: { "8x8x8x8 k,k": { rung: "direct", slices: 1 } } }); // prettier-ignore
  });

  it("decides nothing for another adapter, another dot, or by what it must not name", () => {
    const key = dotKey(SHAPE, LAYOUT);
    const choose = (rung: string, adapter = "a", shape = SHAPE) =>
      tunedDots(withResults(EMPTY_TABLE, "a", new Map([[key, { rung, slices: 1 }]])), adapter, MINIMUM_LIMITS)(shape, LAYOUT); // prettier-ignore
    expect(choose("direct")?.rung).toEqual({ kind: "direct" });
    expect(choose("direct", "b")).toBeUndefined();
    expect(choose("direct", "constructor")).toBeUndefined();
    expect(choose("direct", "a", { ...SHAPE, inner: 2000 })).toBeUndefined();
    expect(choose("tiles of 128 by 16 x 16 lanes")).toBeUndefined();
    expect(choose("__proto__")).toBeUndefined();
  });

  it.each<[string, string]>([
    ["no JSON", "{"],
    ["nothing", ""],
    ["another version", '{"schema":1,"adapters":{}}'],
    ["a list", "[]"],
    ["null", "null"],
    ["no adapters", '{"schema":3}'],
    ["adapters that are no record", '{"schema":3,"adapters":[]}'],
    ["an adapter that is no record", '{"schema":3,"adapters":{"a":3}}'],
    ["a dot that is no record", '{"schema":3,"adapters":{"a":{"k":null}}}'],
    ["a rung that is no text", '{"schema":3,"adapters":{"a":{"k":{"rung":{},"slices":1}}}}'],
    ["no slices", '{"schema":3,"adapters":{"a":{"k":{"rung":"direct","slices":0}}}}'],
    ["half a slice", '{"schema":3,"adapters":{"a":{"k":{"rung":"direct","slices":1.5}}}}'],
    ["endless slices", '{"schema":3,"adapters":{"a":{"k":{"rung":"direct","slices":1e400}}}}'],
    [
      "a long name",
      JSON.stringify({ schema: 2, adapters: { a: { ["k".repeat(501)]: { rung: "", slices: 1 } } } }),
    ],
  ])("is refused with %s", (_name, text) => {
    expect(parseTable(text)).toBeTypeOf("string");
  });

  it("may have any name in it", () => {
    const text = '{"schema":3,"adapters":{"__proto__":{"__proto__":{"rung":"direct","slices":1}}}}';
    const table = parseTable(text);
    expect(JSON.stringify(table)).toBe(text);
    expect(({} as Record<string, unknown>)["rung"]).toBeUndefined();
  });
});

describe("the dots of a program", () => {
  const PRODUCT = { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] };

  it("are found in loops too, once for each key and there the largest", () => {
    const body = program(["f32[40,40]", "f32[5,40]"], (w, weights, x) => [
      w.one("dot", [x, weights], PRODUCT),
    ]);
    const whole = program(
      ["f32[40,40]", "f32[5,40]", "f32[7,50]", "f32[50,60]"],
      (w, weights, x, y, more) => [
        w.one("scan", [weights, x], { body, length: 3, consts: 1, carry: 1, reverse: false }),
        w.one("dot", [y, more], PRODUCT),
        w.one("dot", [x, weights], PRODUCT),
        w.one("dot", [more, w.one("transpose", [more], { perm: [1, 0] })], PRODUCT),
      ],
    );
    expect(dotsOf(whole, MINIMUM_LIMITS)).toEqual([
      { key: "1x64x64x64 k,k f32", shape: { batch: 1, rows: 50, columns: 50, inner: 60 }, layout: LAYOUT },
      {
        key: "1x8x64x64 k,column f32",
        shape: { batch: 1, rows: 7, columns: 60, inner: 50 },
        layout: { left: "k", right: "column" },
      },
    ]);
  });
});

describe("tuning on a device", () => {
  it("knows what the adapter has", async () => {
    const device = await openDevice(false);
    const { features, subgroups, software } = device.context.gpu;
    expect(device.limits).toMatchObject({ f16: features.has("shader-f16"), subgroups, software });
  });

  it("tries f16 in workgroup memory for operands of f16", async () => {
    const device = await openDevice(false);
    if (device.limits.f16 !== true) return console.log("Not tested: this GPU has no f16.");
    const layout = { ...LAYOUT, dtype: "f16" } as const;
    const shape = { batch: 1, rows: 20, columns: 24, inner: 40 };
    const [report] = await tuneProgram(device, dotProgram(shape, layout), { time: async () => 1 });
    expect(report?.key).toBe(dotKey(shape, layout));
    expect(report?.measured.map(({ problem }) => problem).filter(Boolean)).toEqual([]);
    expect(report?.measured.map(({ config }) => rungName(config.rung))).toContain("f16 tiles of 32 by 8 x 8 lanes"); // prettier-ignore
  });

  it("drops matrix units that the driver refuses, and measures the rest", async () => {
    const gpu = await openNodeGpu({ limits: "minimum" });
    const shape = { rows: 8, columns: 8, inner: 8, element: "f16", accumulator: "f16" } as const;
    const device = new WebGpuDevice({ ...gpu, matrices: [shape] }); // the feature is off
    opened.push(device);
    if (device.limits.f16 !== true || device.limits.subgroups === undefined)
      return console.log("Not tested: this GPU has no f16 or no subgroups.");
    const dot = dotProgram({ batch: 1, rows: 20, columns: 24, inner: 40 }, { ...LAYOUT, dtype: "f16" });
    const [report] = await tuneProgram(device, dot, { time: async () => 1 });
    const refused = report?.measured.filter(({ problem }) => problem !== undefined) ?? [];
    expect(new Set(refused.map(({ config }) => config.rung.kind))).toEqual(new Set(["matrix"]));
    expect(refused[0]?.problem).toContain("chromium_experimental_subgroup_matrix");
    expect(report?.measured.length).toBeGreaterThan(refused.length);
  });

  it("keeps the fastest in a table, which the next compile uses", async () => {
    const device = await openDevice(false);
    const alone = dotProgram(SHAPE, LAYOUT);
    const heuristic = chooseDot(SHAPE, LAYOUT, device.limits);
    const wanted = dotCandidates(SHAPE, LAYOUT, device.limits).find(
      ({ rung, split }) => rung.kind !== heuristic.rung.kind && split === undefined,
    ) as DotConfig; // there is the direct one
    const progress: string[] = [];
    const reports = await tuneProgram(device, alone, {
      // As if it were so: real times are not to be relied upon.
      time: async (_executable, _inputs, config) => (configName(config) === configName(wanted) ? 10 : 20),
      onProgress: (done, total) => progress.push(`${done}/${total}`),
    });
    expect(progress).toEqual(["0/1", "1/1"]);
    const [report] = reports;
    expect(report?.problem).toBeUndefined();
    expect(report?.measured.map(({ problem }) => problem).filter(Boolean)).toEqual([]);
    expect(report?.measured[0]).toEqual({ config: heuristic, nanoseconds: 20, problem: undefined });
    expect(report?.kept?.config).toEqual(wanted);

    const before = device.memoryStats();
    expect([before.values, before.plans]).toEqual([0, 0]);

    const table = withResults(EMPTY_TABLE, adapterKey(device.context.gpu.adapter), resultsOf(reports));
    expect(parseTable(JSON.stringify(table))).toEqual(table);
    const kernels = (): readonly string[] =>
      explainWebGpu(alone, { limits: device.limits, dots: device.dots }).explanation.dispatches.map(
        ({ workgroups, lanes }) => `${workgroups} x ${lanes}`,
      );
    const untuned = kernels();
    device.useTuned(table);
    expect(kernels()).toEqual([`${wanted.workgroups} x ${wanted.lanes}`]);
    expect(kernels()).not.toEqual(untuned);

    // A dot of about that size, compiled.
    const near = dotProgram({ ...SHAPE, rows: 4, inner: 650 }, LAYOUT);
    const load = vi.spyOn(device, "load");
    const executable = await device.compile(near);
    const steps = load.mock.calls.flatMap(([plan]) => plan.steps);
    expect(steps.map((step) => step.kind === "dispatch" && step.kernel.lanes)).toEqual([wanted.lanes]);
    const inputs = near.inputs.map((id) => exactOperand(typeOf(near, id), id, 650));
    const values = inputs.map((input) => device.upload(input));
    const outputs = await executable.run(values);
    const results = await Promise.all(outputs.map(async (output) => toExact(await output.read())));
    expect(difference(results, interpret(near, inputs).map(toExact))).toBeUndefined();
    expect(device.dots({ ...SHAPE, rows: 4, inner: 650 }, LAYOUT)?.rung).toEqual(wanted.rung);
  });

  it.each([true, false])("measures every way (with timestamps where there are: %s)", async (profile) => {
    const device = await openDevice(profile);
    if (profile && !device.context.profile) console.log("Not with timestamps: the adapter has none.");
    const shape = { batch: 1, rows: 2, columns: 6, inner: 40 };
    const [report] = await tuneProgram(device, dotProgram(shape, LAYOUT));
    expect(report?.measured.length).toBeGreaterThan(1);
    for (const { nanoseconds, problem, config } of report?.measured ?? []) {
      expect(problem, rungName(config.rung)).toBeUndefined();
      expect(nanoseconds, rungName(config.rung)).toBeGreaterThanOrEqual(0);
    }
  });

  it.each([0, 1, 2])("drops the way that is wrong, here number %i", async (wrong) => {
    const device = await openDevice(false);
    const load = device.load.bind(device);
    let loads = 0;
    const broken = <S extends { readonly kind: string }>(step: S): S =>
      step.kind === "dispatch" ? { ...step, workgroups: 0 } : step;
    vi.spyOn(device, "load").mockImplementation((plan, options) =>
      load(loads++ === wrong ? { ...plan, steps: plan.steps.map(broken) } : plan, options),
    );
    const shape = { batch: 1, rows: 2, columns: 6, inner: 40 };
    const [report] = await tuneProgram(device, dotProgram(shape, LAYOUT), { time: async () => 1 });
    const problems = report?.measured.map(({ problem }) => problem);
    expect(problems).toEqual(problems?.map((_, i) => (i === wrong ? "its result is not that of the other ways" : undefined))); // prettier-ignore
    // Another is kept in place of the heuristic's only where that one is wrong.
    expect(report?.kept === undefined).toBe(wrong !== 0);
  });

  it("keeps the GPU busy before it times anything, if asked", async () => {
    const device = await openDevice(false);
    const runs = vi.spyOn(WebGpuExecutable.prototype, "run");
    const before: number[] = [];
    const dot = dotProgram({ batch: 1, rows: 2, columns: 6, inner: 40 }, LAYOUT);
    for (const warmUp of [undefined, 0, 1]) {
      runs.mockClear();
      const options = warmUp === undefined ? {} : { warmUp };
      const counts: number[] = [];
      const time = async (): Promise<number> => counts.push(runs.mock.calls.length);
      const [report] = await tuneProgram(device, dot, { ...options, time });
      before.push((counts[0] ?? 0) - (report?.measured.length ?? 0)); // each has run once to be compared
    }
    runs.mockRestore();
    const [unasked, none, some] = before;
    expect(none).toBe(0);
    expect(some).toBeGreaterThan(0);
    if (device.limits.software === true) expect(unasked).toBe(0);
  });

  it("goes on where a way cannot be run, and says so", async () => {
    const device = await openDevice(false);
    const load = device.load.bind(device);
    let loads = 0;
    vi.spyOn(device, "load").mockImplementation((plan, options) =>
      loads++ === 1 ? Promise.reject(new Error("the driver gave up")) : load(plan, options),
    );
    const shape = { batch: 1, rows: 2, columns: 6, inner: 40 };
    const [report] = await tuneProgram(device, dotProgram(shape, LAYOUT), { time: async () => 1 });
    expect(report?.measured.map(({ problem, nanoseconds }) => problem ?? nanoseconds)).toEqual(
      report?.measured.map((_, i) => (i === 1 ? "the driver gave up" : 1)),
    );
    expect(report?.kept).toBeUndefined();
    expect([...resultsOf(report === undefined ? [] : [report]).values()]).toEqual([undefined]);
  });
});
