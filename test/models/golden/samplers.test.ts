/** The official samplers state by state: Euler with the FLM denoiser, the γ-sampler and one step with the FMLM denoiser. */
import { afterAll, describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import type { Clock } from "../../../src/models/flow/clock.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { eulerSchedule, gammaSchedule, samplerStep } from "../../../src/models/language/sampler.ts";
import type { SamplerStep } from "../../../src/models/language/sampler.ts";
import {
  at,
  expectGolden,
  floats,
  host,
  numbers,
  PRECISIONS,
  runner,
  scalar,
  scalarOf,
  stateOf,
  summarize,
  tiny,
  TOLERANCE,
} from "./support.ts";
import type { Entry, Precision } from "./support.ts";

afterAll(() => summarize("samplers"));

/** The exact clock, but for the times of the published table (4e-10 off) where they are recorded. */
function recordedClock(vocab: number, tau: readonly number[], t: readonly number[]): Clock {
  const exact = decodingError({ vocab });
  tau.forEach((x, i) => expect(Math.abs(exact.time(x) - (t[i] ?? NaN))).toBeLessThan(TOLERANCE));
  return { ...exact, time: (x) => t[tau.indexOf(x)] ?? NaN };
}

/** Runs a schedule from z0. States are those that enter each step; the last is the denoiser's output. */
async function sample(
  precision: Precision,
  weights: string,
  schedule: readonly SamplerStep[],
  z0: ExactTensor,
  noises: readonly ExactTensor[],
) {
  const { network, params } = await stateOf(weights);
  const column = (value: number): ExactTensor =>
    floats(
      [z0.shape[0] ?? 0],
      Array.from({ length: z0.shape[0] ?? 0 }, () => value),
    );
  const zeros = floats(
    z0.shape,
    z0.data.map(() => 0),
  );
  const inputsOf = (step: SamplerStep, state: ExactTensor, noise: ExactTensor) => ({
    params,
    state,
    tau: column(step.tau),
    target: column(step.target ?? 0),
    stateWeight: scalarOf(step.state),
    denoiserWeight: scalarOf(step.denoiser),
    noise: floats(
      noise.shape,
      Array.from(noise.data, (x) => x * step.noise),
    ),
  });
  const [first] = schedule;
  if (first === undefined) throw new Error("an empty schedule");
  const prepare = await runner(precision);
  const move = await prepare(inputsOf(first, z0, zeros), ({ params: p, target, ...rest }) =>
    samplerStep(network, p, first.target === undefined ? rest : { ...rest, target }, vocabularySpace),
  );
  const states: ExactTensor[] = [z0];
  let tokens = zeros;
  for (const [i, step] of schedule.entries()) {
    const moved = await move(inputsOf(step, states.at(-1) ?? z0, noises[i] ?? zeros));
    states.push(moved.state);
    tokens = moved.tokens;
  }
  return { states, tokens };
}

async function expectSamples(
  precision: Precision,
  name: string,
  weights: string,
  scheduleOf: (clock: Clock, steps: number) => readonly SamplerStep[],
): Promise<void> {
  const golden = tiny(name);
  const steps = scalar(golden.inputs, "steps");
  const clock = recordedClock(11, numbers(golden.outputs, "tau"), numbers(golden.outputs, "t"));
  const schedule = scheduleOf(clock, steps);
  expect(schedule.map(({ tau }) => tau)).toEqual(numbers(golden.outputs, "tau").slice(0, -1));
  if ("tau_tilde" in golden.outputs) {
    schedule.forEach(({ target }, i) =>
      expectGolden("f64", golden, [[["tau_tilde", i], scalarOf(target ?? NaN)]]),
    );
  }
  const given = "noises" in golden.inputs ? (at(golden.inputs, "noises") as readonly unknown[]).length : 0;
  const noises = Array.from({ length: given }, (_, i) => host(golden.inputs, "noises", i));
  const { states, tokens } = await sample(precision, weights, schedule, host(golden.inputs, "z0"), noises);
  const entries = states.map((state, i): Entry =>
    i < steps ? [["states", i], state] : [["final_probs"], state],
  );
  expectGolden(precision, golden, entries);
  expectGolden(precision, golden, [[["tokens"], tokens]]);
}

describe.each(PRECISIONS)("samplers in %s", (precision) => {
  it("e: Euler, with the published floor of 1e-5 under 1/(1 − t)", () =>
    expectSamples(precision, "e_flm_euler", "weights.safetensors", (clock, steps) =>
      eulerSchedule(clock, steps, 1e-5),
    ));

  it.each([
    ["e_fmlm_gamma0", 0],
    ["e_fmlm_gamma08", 0.8],
    ["e_fmlm_gamma1", 1],
  ])("e: %s", (name, gamma) =>
    expectSamples(precision, name, "weights.fmlm.safetensors", (clock, steps) =>
      gammaSchedule(clock, steps, gamma),
    ),
  );

  it("e: FMLM in one step", async () => {
    const golden = tiny("e_fmlm_one_step");
    const schedule = gammaSchedule(decodingError({ vocab: 11 }), 1, 0.8);
    expect(schedule).toEqual([{ tau: 0, target: 1, state: 0, denoiser: 1, noise: 0 }]);
    const { tokens } = await sample(
      precision,
      "weights.fmlm.safetensors",
      schedule,
      host(golden.inputs, "z0"),
      [],
    );
    expectGolden(precision, golden, [[["tokens"], tokens]]);
  });
});
