/**
 * Samplers that claim an order of convergence: those that have it pass, and a weight that is off is seen, whichever of the schedule's numbers
 * it is in. And custom derivative rules that do not belong to their values.
 */
import { describe, expect, it } from "vitest";
import { add, customJvp, mul } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import { linear, trigonometric } from "../../../src/models/flow/interpolant.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { bridge, euler, gammaResampling, heun, midpoint } from "../../../src/models/flow/samplers/index.ts";
import type { Call, Course, Schedule, ScheduleOptions } from "../../../src/models/flow/samplers/index.ts";
import { gaussian } from "../../../src/models/flow/source.ts";
import * as sources from "../../../src/models/flow/sources.ts";
import { verifyFlow } from "../../../src/runtime/verify/verify.ts";
import { failures } from "../../support/verify-failures.ts";

type Make = (course: Course, steps: number, options?: ScheduleOptions) => Schedule;

/** A sampler with its calls changed. */
const changed =
  (make: Make, change: (call: Call, i: number) => Call): Make =>
  (course, steps, options) => {
    const schedule = make(course, steps, options);
    return { ...schedule, calls: schedule.calls.map((call, i) => change(call, i)) };
  };

const second = (change: (call: Call) => Partial<Call>) => (call: Call) =>
  call.begins ? call : { ...call, ...change(call) };

describe("a sampler of the second order", () => {
  const circle = flow({ name: "circle", interpolant: trigonometric });

  it.each<[string, boolean, Make]>([
    ["Heun's", true, heun],
    ["midpoint", true, midpoint],
    ["Euler's, which claims too much", false, euler],
    ["Heun's with the first slope counted twice", false, changed(heun, second(({ first, denoiser }) => ({ first: first + denoiser, denoiser: 0 })))], // prettier-ignore
    ["Heun's with a state weight that is off by a step's square", false, changed(heun, second(({ state }) => ({ state: state + 3 / 32 ** 2 })))], // prettier-ignore
    ["midpoint with the slope of the step's beginning", false, changed(midpoint, second(({ first, denoiser }) => ({ first: first + denoiser, denoiser: 0 })))], // prettier-ignore
    ["midpoint whose denoiser is half as heavy", false, changed(midpoint, second(({ denoiser }) => ({ denoiser: denoiser / 2 })))], // prettier-ignore
  ])("%s: %s", async (_what, right, make) => {
    const { results } = await verifyFlow(circle, {
      cases: 4,
      families: ["sampler"],
      samplers: [{ name: "own", order: 2, make }],
    });
    const failed = results.filter(({ passed }) => !passed).map(({ name }) => name);
    expect(failed).toEqual(right ? [] : ["order of own"]);
    expect(results.map(({ name }) => name)).toContain("order of midpoint");
  });
});

const first = (change: Partial<Call> | ((call: Call) => Partial<Call>)) => (call: Call, i: number) =>
  i === 0 ? call : { ...call, ...(typeof change === "function" ? change(call) : change) };

describe("a sampler that keeps the law of states", () => {
  const wide = flow({ name: "circle", interpolant: trigonometric, source: gaussian({ scale: 0.7 }) });
  const resampled: Make = (course, steps, options) =>
    gammaResampling(course, steps, { ...options, gamma: 0.6, back: "state" });

  it.each<[string, boolean, "token" | "map", Make]>([
    ["a bridge", true, "token", (course, steps, options) => bridge(course, steps, { ...options, rate: 2.5 })],
    ["a bridge that forgets more than it renews", false, "token", changed(bridge, first(({ noise }) => ({ noise: noise * 0.7 })))], // prettier-ignore
    ["a bridge that keeps the signal of its state", false, "token", changed(bridge, first(({ denoiser, state }) => ({ denoiser: denoiser + state * 0.5 })))], // prettier-ignore
    ["resampling by the state", true, "map", resampled],
    ["resampling with the noise of its square", false, "map", changed(resampled, first(({ noise }) => ({ noise: noise * 0.6 })))], // prettier-ignore
    ["resampling that does not go on first", false, "map", changed(resampled, first(({ time }) => ({ target: time })))], // prettier-ignore
  ])("%s: %s", async (_what, right, keepsLaw, make) => {
    const { results } = await verifyFlow(wide, {
      cases: 4,
      families: ["sampler"],
      samplers: [{ name: "own", keepsLaw, make }],
    });
    const failed = results.filter(({ passed }) => !passed).map(({ name }) => name);
    expect(failed).toEqual(right ? [] : ["law of own"]);
    expect(results.map(({ name }) => name)).toEqual(expect.arrayContaining(["law of bridge", "law of resampling"])); // prettier-ignore
  });

  it("is not looked at where noise cannot be mixed, with the reason", async () => {
    for (const [source, what] of [
      [sources.logistic(), "logistic"],
      [sources.maskedGaussian(), "masked"],
    ] as const) {
      // prettier-ignore
      const { leftOut } = await verifyFlow(flow({ name: "other", source }), { cases: 1, families: ["sampler"] });
      const reason = leftOut.find(({ name }) => name === "law of bridge")?.reason;
      expect(reason, what).toMatch(/mixes the noise of a state with fresh noise/);
    }
  });
});

describe("a derivative rule that does not belong to its value", () => {
  it("is seen by differences, in the interpolant and in the map", async () => {
    const beta = customJvp(
      (t: Tensor) => mul(t, 1),
      ([t], [tangent]) =>
        [mul(t, 1) as Tensor, mul(tangent as Tensor, add(1, mul(t, 0.2)) as Tensor) as Tensor] as const,
    );
    const wrong = flow({ name: "mistaken", interpolant: { ...linear, beta } });
    const failed = await failures(flowMap({ name: "mistaken", flow: wrong, objective: semigroup() }), [
      "interpolant",
      "flow map",
    ]);
    expect(failed).toEqual(expect.arrayContaining(["rates of the interpolant", "derivatives", "tangent"]));
  });
});
