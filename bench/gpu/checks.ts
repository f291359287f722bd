/**
 * What a GPU must get right before its times mean anything, against the interpreter: programs of every kind of kernel, every op in random
 * programs, and a few training steps one after the other.
 *
 * Consumed by the benchmark of hardware. To check another program: check-programs.ts.
 */
import fc from "fast-check";
import { hostTensor, toExact, toNumbers, toStorage } from "../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { inlineCalls } from "../../src/compiler/passes/inline.ts";
import { optimize } from "../../src/compiler/passes/pipeline.ts";
import { dotCandidates, rungName } from "../../src/compiler/schedule/dot/candidates.ts";
import { SMALL_QUADS, launchDot } from "../../src/compiler/schedule/dot/dot.ts";
import type { DotConfig } from "../../src/compiler/schedule/dot/dot.ts";
import type { DotLayout, DotShape } from "../../src/compiler/schedule/dot/problem.ts";
import { schedule } from "../../src/compiler/schedule/schedule.ts";
import { trace } from "../../src/dsl/index.ts";
import type { Fn } from "../../src/dsl/index.ts";
import { OPS } from "../../src/dsl/ops/index.ts";
import { inputTypes } from "../../src/dsl/program/program.ts";
import type { OpKind, Program } from "../../src/dsl/program/program.ts";
import { keyData } from "../../src/models/training/batches.ts";
import { key } from "../../src/models/flow/host-random.ts";
import { initFlm } from "../../src/models/training/programs.ts";
import type { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { dotProgram, exactOperand } from "../../src/runtime/webgpu/dot-alone.ts";
import { randomInputs } from "../../src/runtime/webgpu/random-inputs.ts";
import { deviation, runOn } from "../../test/support/on-device.ts";
import { arbitraryRun } from "../../test/support/random-program.ts";
import type { RandomProgramOptions } from "../../test/support/random-program.ts";
import type { Scale } from "../benchmark.ts";
import { normal } from "../numbers.ts";
import { loadStep, rowsOf, stepOptions, traceStep, trainingOf } from "../webgpu/flm-step.ts";
import { PROGRAMS } from "./check-programs.ts";
import type { CheckProgram } from "./check-programs.ts";
import { LIES } from "./ways.ts";

/** What came of a check. */
export interface Checked {
  readonly name: string;
  /** Greatest |a − b| / (1 + |b|), where values were compared and all are numbers. */
  readonly difference?: number;
  readonly tolerance: number;
  /** What is wrong, if anything is. */
  readonly failure?: string;
}

/** Something to check. `find` gives the difference, or says what is wrong. */
export interface Check {
  readonly name: string;
  readonly tolerance: number;
  find(device: WebGpuDevice): Promise<number | string | undefined>;
}

/** All but the random programs that are only there to be many. Tiny: some of each kind. */
export const checksAt = (scale: Scale): readonly Check[] => [
  ...PROGRAMS()
    .filter((_, i) => scale === "full" || i % 9 === 0)
    .map(programCheck),
  ...dotForms().filter((_, i) => scale === "full" || i % 5 === 0),
  threeSteps,
  ...ops().filter((_, i) => scale === "full" || i % 20 === 0),
];

/** Normal numbers for products and rows; what `randomInputs` gives for the training steps, whose rates and variances are positive. */
function inputsOf({ name, below }: CheckProgram, program: Program): readonly HostTensor[] {
  const types = inputTypes(program);
  const given = randomInputs(types, () => below);
  if (name.includes("step")) return given;
  return given.map((tensor, i) =>
    tensor.dtype === "f32" || tensor.dtype === "f16"
      ? toStorage({ ...tensor, data: Float64Array.from(normal(i + 1, tensor.data.length)) })
      : tensor,
  );
}

/** Greatest |a − b| / (1 + |b|); NaN and infinities are no difference when both are the same. */
function greatest(actual: readonly HostTensor[], expected: readonly HostTensor[]): number {
  let most = 0;
  expected.forEach(({ data }, n) => {
    const found = (actual[n] as HostTensor).data; // a program has as many outputs everywhere
    for (const [i, b] of data.entries()) {
      const a = found[i] as number;
      if (Object.is(a, b)) continue;
      const difference = Math.abs(a - b) / (1 + Math.abs(b));
      if (!(difference <= most)) most = difference;
    }
  });
  return most;
}

const programCheck = (one: CheckProgram): Check => ({
  name: one.name,
  tolerance: one.tolerance,
  find: async (device) => {
    const program = optimize(inlineCalls(trace(one.f).program));
    const inputs = inputsOf(one, program);
    const actual = (await runOn(device, program, inputs)).map(toExact);
    return greatest(
      actual,
      interpret(program, inputs).map((tensor) => toExact(toStorage(tensor))),
    );
  },
});

/** Rows, columns and terms: whole tiles in bands, and tiles that are not full, in quads and not. */
const FORMS = [
  { batch: 1, rows: 1024, columns: 256, inner: 32 },
  { batch: 1, rows: 132, columns: 196, inner: 68 },
  { batch: 2, rows: 65, columns: 130, inner: 77 },
] as const satisfies readonly DotShape[];

/** Dots on all rungs for large ones, as those have them: with sizes in the text. */
const dotForms = (): readonly Check[] =>
  (["f32", "f16"] as const).flatMap((dtype) =>
    Object.entries(LIES).flatMap(([lie, lies]) =>
      FORMS.map((shape): Check => {
        const { batch, rows, columns, inner } = shape;
        const layout: DotLayout = { ...lies, dtype };
        const tolerance = dtype === "f32" ? 1e-6 : 1e-3;
        return {
          name: `${dtype} product ${batch}×${rows}×${inner}×${columns} ${lie} as large ones are computed`,
          tolerance,
          find: (device) => worstForm(device, shape, layout, tolerance),
        };
      }),
    ),
  );

/** @returns the greatest difference, or the first rung whose is too large */
async function worstForm(
  device: WebGpuDevice,
  shape: DotShape,
  layout: DotLayout,
  tolerance: number,
): Promise<number | string> {
  const program = dotProgram(shape, layout);
  const operands = inputTypes(program).map((type, seed) => exactOperand(type, seed, shape.inner));
  const expected = interpret(program, operands).map((tensor) => toExact(toStorage(tensor)));
  const inputs = operands.map((operand) => device.upload(operand));
  const rungs = new Map(
    dotCandidates(shape, layout, device.limits).map(({ rung }) => [rungName(rung), rung] as const),
  );
  let worst: number | string = 0;
  for (const [name, rung] of rungs) {
    if (rung.kind !== "matrix" && rung.kind !== "quads") continue;
    // Compilers of software adapters take a minute for the larger ones.
    if (device.limits.software === true && rungName(rung) !== rungName(SMALL_QUADS)) continue;
    const config: DotConfig = { ...launchDot(shape, rung, 1), sizes: "text" };
    const plan = schedule(program, { limits: device.limits, dots: () => config });
    const executable = await device.load(plan, { name });
    const results = await executable.run(inputs);
    const found = greatest(await Promise.all(results.map(async (x) => toExact(await x.read()))), expected);
    for (const result of results) result.dispose();
    await executable.dispose();
    worst = found <= tolerance ? Math.max(worst, found) : `${name} is off by ${found}`;
    if (typeof worst === "string") break;
  }
  for (const input of inputs) input.dispose();
  return worst;
}

/** Random programs, always the same ones. */
const random = (
  name: string,
  options: RandomProgramOptions,
  tolerance: number,
  count: number,
): readonly Check[] =>
  fc.sample(arbitraryRun(options), { numRuns: count, seed: 1 }).map(({ program, inputs }, i) => ({
    name: `${name}, ${i}`,
    tolerance,
    find: (device) => deviation(device, program, inputs.map(toStorage), tolerance),
  }));

const ALL = Object.keys(OPS) as OpKind[]; // OPS has exactly these keys

/** Each op in programs of its own. */
const ops = (): readonly Check[] =>
  ALL.flatMap((op) =>
    random(op, { bounded: true, floatOnly: true, ops: [op], minEquations: 1, maxEquations: 3 }, 1e-3, 2),
  );

/** As many random programs of each kind. */
export const randomChecks = (count: number): readonly Check[] => {
  const f32 = { bounded: true, floatOnly: true, ops: ALL };
  const large = { ...f32, minEquations: 12, maxEquations: 30 };
  return [
    ...random("random programs in f32", f32, 1e-3, count),
    ...random("random programs in f32, large", large, 1e-3, count),
    ...random("random programs with f16 among them", { bounded: true, ops: ALL }, 5e-2, count),
  ];
};

/** A training of three steps: each starts from the state that the one before left on the GPU. */
const threeSteps: Check = {
  name: "the losses of three FLM steps",
  tolerance: 1e-4,
  find: async (device) => {
    const options = stepOptions("tiny");
    const rows = rowsOf(options);
    const init = trace(initFlm(options) as Fn<never, unknown>);
    const state = interpret(init.program, [hostTensor("u32", [2], keyData(key(1)))]).map(toStorage);
    const names = init.outputNames.map((name) => `state.${name}`);
    const step = await loadStep(device, await traceStep(options), { donate: true });
    const start = new Map(names.map((name, i) => [name, device.upload(state[i] as HostTensor)])); // one for each
    const training = trainingOf(device, step, start, rows);
    const values = new Map<string, HostTensor>([...names.map((name, i) => [name, state[i] as HostTensor] as const), ...rows]); // prettier-ignore
    const [actual, expected]: [number[], number[]] = [[], []];
    for (let i = 0; i < 3; i++) {
      actual.push(await training.step());
      const results = interpret(
        step.program,
        step.inputNames.map((name) => values.get(name) as HostTensor), // all inputs are there
      );
      step.outputNames.forEach((name, n) => values.set(name, results[n] as HostTensor));
      expected.push(toNumbers(values.get("loss") as HostTensor)[0] ?? Number.NaN);
    }
    await training.dispose();
    const tensor = (data: readonly number[]): HostTensor => hostTensor("f32", [data.length], data);
    return greatest([tensor(actual)], [tensor(expected)]);
  },
};

/** @param each called after each check; when it answers false, the rest is left out */
export async function runChecks(
  device: () => WebGpuDevice,
  checks: readonly Check[],
  each: (checked: Checked) => Promise<boolean>,
): Promise<void> {
  for (const { name, tolerance, find } of checks) {
    let checked: Checked;
    try {
      const found = await find(device());
      if (typeof found === "string") checked = { name, tolerance, failure: found };
      else if (found === undefined) checked = { name, tolerance };
      else if (found <= tolerance) checked = { name, tolerance, difference: found };
      else checked = { name, tolerance, difference: found, failure: "too far from the interpreter" };
    } catch (error) {
      checked = { name, tolerance, failure: String(error) };
    }
    if (!(await each(checked))) return;
  }
}
