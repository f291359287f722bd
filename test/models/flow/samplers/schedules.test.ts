/**
 * Schedules as numbers: of a state α x₀ + β x₁ whose denoiser is right, every step makes the state of the next time, with exactly its
 * signal and its variance of noise. For any interpolant, clock and sampler.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cos, mul, sin, sqrt, sub } from "../../../../src/dsl/index.ts";
import { decodingError } from "../../../../src/models/flow/clock-decoding-error.ts";
import { mixtureClock, uniformClock } from "../../../../src/models/flow/clock.ts";
import {
  interpolant as declared,
  linear,
  trigonometric,
  variancePreservingLinear,
} from "../../../../src/models/flow/interpolant.ts";
import { bridge } from "../../../../src/models/flow/samplers/bridge.ts";
import { euler, exponential, heun, midpoint } from "../../../../src/models/flow/samplers/integrators.ts";
import { gammaResampling, jumps } from "../../../../src/models/flow/samplers/jumps.ts";
import { hostInterpolant } from "../../../../src/models/flow/samplers/schedule.ts";
import type { Course, Schedule } from "../../../../src/models/flow/samplers/schedule.ts";
import { blockCausal, positioned } from "../../../../src/models/flow/schedule.ts";
import { logistic } from "../../../../src/models/flow/source.ts";

const clocks = [
  uniformClock(),
  decodingError({ vocab: 50 }),
  mixtureClock({ base: decodingError({ vocab: 7 }), weight: 0.9 }),
];
const courses = fc.record({
  interpolant: fc.constantFrom(linear, trigonometric, variancePreservingLinear),
  clock: fc.constantFrom(...clocks),
});
const steps = fc.integer({ min: 1, max: 9 });
const ends = fc.constantFrom(1, 0.7);
const shares = fc.double({ min: 0, max: 1, noNaN: true });

/**
 * Weights of x₀, x₁ and of each fresh noise in the last state, when the denoiser always says x₁. Steps begin with the state before.
 */
function followed({ calls }: Schedule): {
  readonly x0: number;
  readonly x1: number;
  readonly noises: readonly number[];
} {
  let now = { x0: 1, x1: 0, noises: [] as readonly number[] };
  let began = now;
  for (const { begins, state, first, denoiser, noise } of calls) {
    if (begins) began = now;
    now = {
      x0: state * began.x0,
      x1: state * began.x1 + first + denoiser,
      noises: [...began.noises.map((n) => state * n), noise],
    };
  }
  return now;
}

const close = (actual: number, wanted: number): void => expect(Math.abs(actual - wanted)).toBeLessThan(1e-9);

function isAtItsEnd(course: Course, schedule: Schedule): void {
  const { x0, x1, noises } = followed(schedule);
  const { alpha, beta } = hostInterpolant(course.interpolant).at(schedule.end.t);
  close(x1, beta);
  close(x0 ** 2 + noises.reduce((sum, n) => sum + n ** 2, 0), alpha ** 2);
}

describe("a state whose denoiser is right is at the next time after every step", () => {
  it("of jumps and of the exponential integrator, without noise", () => {
    fc.assert(
      fc.property(courses, steps, ends, (course, count, end) => {
        for (const schedule of [jumps(course, count, { end }), exponential(course, count, { end })]) {
          isAtItsEnd(course, schedule);
          expect(schedule.calls.every(({ noise }) => noise === 0)).toBe(true);
        }
      }),
    );
  });

  it.each(["endpoint", "state"] as const)("of γ-resampling, back by the %s", (back) => {
    fc.assert(
      fc.property(courses, steps, ends, shares, (course, count, end, gamma) => {
        const schedule = gammaResampling(course, count, { end, gamma, back });
        isAtItsEnd(course, schedule);
        for (const { time, target } of schedule.calls) expect(target.t).toBeGreaterThan(time.t);
      }),
    );
  });

  it("of the bridge, for any rate", () => {
    fc.assert(
      fc.property(courses, steps, ends, fc.constantFrom(0, 0.3, 1, 4), (course, count, end, rate) =>
        isAtItsEnd(course, bridge(course, count, { end, rate })),
      ),
    );
  });

  it("of methods of two calls, as their steps become small", () => {
    for (const interpolant of [linear, trigonometric])
      for (const method of [heun, midpoint]) {
        const course = { interpolant, clock: uniformClock() };
        const { x0, x1 } = followed(method(course, 400, { end: 0.7 }));
        const { alpha, beta } = hostInterpolant(interpolant).at(0.7);
        expect(Math.abs(x0 - alpha)).toBeLessThan(1e-5);
        expect(Math.abs(x1 - beta)).toBeLessThan(1e-5);
      }
  });
});

describe("the last step", () => {
  it.each([euler, heun, midpoint])(
    "is what the denoiser says, also where cos(π/2) leaves rounding of the noise",
    (method) => {
      const interpolant = declared({
        name: "cosine",
        alpha: (t) => cos(mul(t, Math.PI / 2)),
        beta: (t) => sin(mul(t, Math.PI / 2)),
      });
      const { calls } = method({ interpolant, clock: uniformClock() }, 4);
      expect(calls.at(-1)).toMatchObject({ state: 0, first: 0, denoiser: 1, begins: true });
    },
  );
});

describe("special cases", () => {
  const weights = (schedule: Schedule) =>
    schedule.calls.flatMap(({ state, first, denoiser, noise, time, target }) => [
      state, first, denoiser, noise, time.t, target.t,
    ]); // prettier-ignore
  const same = (a: Schedule, b: Schedule): void =>
    weights(a).forEach((weight, i) => close(weight, weights(b)[i] ?? NaN));

  it("Euler is the exponential integrator for the linear interpolant, and not for another", () => {
    const straight = { interpolant: linear, clock: decodingError({ vocab: 9 }) };
    same(euler(straight, 7), exponential(straight, 7));
    const curved = { interpolant: trigonometric, clock: uniformClock() };
    expect(() => same(euler(curved, 7), exponential(curved, 7))).toThrow();
  });

  it("γ = 0 is jumps; at γ = 1 both ways back start afresh from the endpoint; a bridge that forgets at once does too", () => {
    fc.assert(
      fc.property(courses, steps, (course, count) => {
        same(gammaResampling(course, count, { gamma: 0, back: "state" }), jumps(course, count));
        const afresh = gammaResampling(course, count, { gamma: 1 });
        same(gammaResampling(course, count, { gamma: 1, back: "state" }), afresh);
        const { at } = hostInterpolant(course.interpolant);
        afresh.calls.forEach(({ state, denoiser, noise, target }, i) => {
          const next = at(afresh.calls[i + 1]?.time.t ?? 1);
          expect(target.t).toBe(1);
          [state, denoiser - next.beta, noise - next.alpha].forEach((zero) => close(zero, 0));
          const forgetful = bridge(course, count, { rate: 1e9 }).calls[i];
          [forgetful?.state, forgetful?.denoiser, forgetful?.noise].forEach((weight, j) =>
            close(weight ?? NaN, [state, denoiser, noise][j] as number),
          );
        });
      }),
    );
  });

  it("every schedule ends with what the denoiser says, and begins at noise", () => {
    fc.assert(
      fc.property(courses, steps, (course, count) => {
        const all = [euler, exponential, heun, midpoint, jumps, bridge].map((method) =>
          method(course, count),
        );
        for (const { calls, end } of [...all, gammaResampling(course, count, { gamma: 0.5 })]) {
          const last = calls.at(-1);
          expect([end.t, calls[0]?.time.t, last?.state, last?.first, last?.denoiser, last?.noise]).toEqual([
            1, 0, 0, 0, 1, 0,
          ]);
        }
      }),
    );
  });
});

describe("what is refused, and why", () => {
  const course = { interpolant: linear, clock: uniformClock() };
  it.each([0, 1.5, NaN])("%d steps", (count) => {
    for (const method of [euler, exponential, heun, midpoint, jumps, bridge])
      expect(() => method(course, count)).toThrow(`a whole number of steps >= 1, got ${count}`);
  });
  it("ends before noise and after data", () => {
    expect(() => euler(course, 2, { end: 0 })).toThrow("in (0, 1], where 1 is data, got 0.");
    expect(() => euler(course, 2, { end: 1.1 })).toThrow("got 1.1.");
  });
  it("γ outside [0, 1], and rates below 0", () => {
    expect(() => gammaResampling(course, 2, { gamma: 1.2 })).toThrow("in [0, 1], got 1.2.");
    expect(() => bridge(course, 2, { rate: -1 })).toThrow("not negative, got -1.");
  });
  it("mixing noise that is not Gaussian; keeping it, or taking it afresh, is possible", () => {
    const other = { ...course, source: logistic() };
    expect(() => gammaResampling(other, 2, { gamma: 0.5 })).toThrow(
      "Resampling with gamma = 0.5 mixes the noise of a state with fresh noise, and only of Gaussian noise around 0 is the mixture such noise again: this flow's source is logistic.",
    );
    expect(() => bridge(other, 2)).toThrow("A bridge mixes the noise");
    expect(() => [gammaResampling(other, 2, { gamma: 1 }), bridge(other, 2, { rate: 0 })]).not.toThrow();
  });
  it("weights that are infinite, as the drift is where the rates of the interpolant are", () => {
    // The rate of √t is infinite at 0.
    const root = {
      clock: uniformClock(),
      interpolant: declared({ name: "root", alpha: (t) => sub(1, t), beta: (t) => sqrt(t) }),
    };
    for (const [name, method] of [
      ["Euler", euler],
      ["Heun", heun],
      ["midpoint", midpoint],
    ] as const) {
      expect(() => method(root, 4)).toThrow(
        `A step of the ${name} schedule needs the rates of the interpolant "root" near t = 0, where they are not finite: take exponential steps`,
      );
      expect(method(root, 4, { start: 0.01 }).calls.length).toBeGreaterThan(3);
    }
    expect(exponential(root, 4).calls).toHaveLength(4);
  });

  it("times per token, and what to do then", () => {
    const late = { ...course, interpolant: positioned(linear, blockCausal({ blocks: 2 }), { length: 2 }) };
    for (const method of [euler, heun, jumps, bridge])
      expect(() => method(late, 2)).toThrow(
        'The interpolant "linear, by position" gives every token a time of its own, and a schedule has one number for a whole state: sampleAdaptively follows each token.',
      );
  });
});
