/**
 * What a network puts out as a flow map, against the formulas: for any function in place of the network, any interpolant, and times that are
 * apart, that are one, and that nearly meet.
 */
import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { add, div, mul, onesLike, sin, sub } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import {
  linear,
  perState,
  pointAt,
  trigonometric,
  variancePreservingLinear,
} from "../../../src/models/flow/interpolant.ts";
import type { Interpolant } from "../../../src/models/flow/interpolant.ts";
import { jump, moved } from "../../../src/models/flow/jump.ts";
import { denoiserOf } from "../../../src/models/flow/parameterization.ts";
import type { Parameterization } from "../../../src/models/flow/parameterization.ts";
import { drift } from "../../../src/models/flow/two-time.ts";
import type { Time } from "../../../src/models/flow/two-time.ts";
import { distance, evaluate, floats } from "../../support/evaluate.ts";

const time = (t: Tensor): Time => ({ t, tau: t, rate: onesLike(t) });

/** In place of the network: something that depends on all it is told. */
const network = (x: Tensor, s: Time, t: Time): Tensor =>
  sin(add(mul(x, 1.3), perState(add(mul(s.tau, 0.7), mul(t.tau, 2)) as Tensor)));
/** Its derivative by t. */
const rate = (x: Tensor, s: Time, t: Time): Tensor =>
  mul(
    sin(
      add(add(mul(x, 1.3), perState(add(mul(s.tau, 0.7), mul(t.tau, 2)) as Tensor)) as Tensor, Math.PI / 2),
    ),
    2,
  );
/** In place of a frozen denoiser. */
const frozen = (x: Tensor, s: Time): Tensor => sin(add(mul(x, 0.4), perState(s.tau)));

interface At {
  readonly x: Tensor;
  readonly s: Tensor;
  readonly t: Tensor;
}
const span = ({ s, t }: At): Tensor => perState(sub(t, s));

/** Where a jump arrives, and the drift at its start, by the formulas. */
const formulas: Readonly<
  Record<
    Exclude<Parameterization, "two-time denoiser">,
    {
      readonly arrives: (at: At, interpolant: Interpolant) => Tensor;
      readonly drift: (at: At, interpolant: Interpolant) => Tensor;
    }
  >
> = {
  "mean velocity": {
    arrives: (at) => add(at.x, mul(span(at), network(at.x, time(at.s), time(at.t)))),
    drift: ({ x, s }) => network(x, time(s), time(s)),
  },
  "corrected velocity": {
    arrives: (at, interpolant) => {
      const { x, s, t } = at;
      const step = moved(x, frozen(x, time(s)), jump(pointAt(interpolant, s), pointAt(interpolant, t)));
      return add(step, mul(mul(mul(span(at), span(at)) as Tensor, 0.5), network(x, time(s), time(t))));
    },
    drift: ({ x, s }, interpolant) => drift(interpolant, x, frozen(x, time(s)), time(s)),
  },
  "direct map": {
    arrives: ({ x, s, t }) => add(x, sub(network(x, time(s), time(t)), network(x, time(s), time(s)))),
    drift: ({ x, s }) => rate(x, time(s), time(s)),
  },
};

const inputs = (s: readonly number[], t: readonly number[]): Record<keyof At, ExactTensor> => ({
  x: floats([3, 1, 2], [0.3, -0.2, 1.1, 0.6, -0.9, 0.4]),
  s: floats([3], s),
  t: floats([3], t),
});
const STARTS = [0, 0.35, 0.8];
const ENDS = [0.4, 1, 0.95];

const kinds = Object.keys(formulas) as readonly (keyof typeof formulas)[];
describe.each(kinds)("a %s", (kind) => {
  it.each([linear, trigonometric, variancePreservingLinear])(
    "jumps as declared, and begins at x with its drift ($name)",
    (interpolant) => {
      const psi = denoiserOf(kind, interpolant, network, frozen);
      const found = evaluate(inputs(STARTS, ENDS), (at) => {
        const { x, s, t } = at;
        const by = jump(pointAt(interpolant, s), pointAt(interpolant, t));
        const near = add(s, 1e-5) as Tensor;
        return {
          arrived: moved(x, psi(x, time(s), time(t)), by),
          wanted: formulas[kind].arrives(at, interpolant),
          drift: drift(interpolant, x, psi(x, time(s), time(mul(s, 1))), time(s)),
          // One time given twice is the diagonal too.
          same: drift(interpolant, x, ((now) => psi(x, now, now))(time(s)), time(s)),
          rate: formulas[kind].drift(at, interpolant),
          diagonal: psi(x, time(s), time(mul(s, 1))),
          near: psi(x, time(s), time(near)),
        };
      });
      expect(distance(found.arrived.data, found.wanted.data)).toBeLessThan(1e-12);
      expect(distance(found.drift.data, found.rate.data)).toBeLessThan(1e-12);
      expect(distance(found.same.data, found.rate.data)).toBeLessThan(1e-12);
      expect(distance(found.near.data, found.diagonal.data)).toBeLessThan(1e-3);
    },
  );
});

it("for the linear interpolant a corrected velocity is FMLM's, x + (t − s)(D − x)/(1 − s) + ½ (t − s)² g", () => {
  const { step, wanted } = evaluate(inputs(STARTS, ENDS), (at) => {
    const { x, s } = at;
    const velocity: Tensor = div(sub(frozen(x, time(s)), x), perState(sub(1, s)));
    return {
      step: formulas["corrected velocity"].arrives(at, linear),
      wanted: add(
        add(x, mul(span(at), velocity) as Tensor),
        mul(mul(mul(span(at), span(at)) as Tensor, 0.5), network(x, time(s), time(at.t))),
      ),
    };
  });
  expect(distance(step.data, wanted.data)).toBeLessThan(1e-12);
});

it("a corrected velocity without the frozen network says what is missing", () => {
  const psi = denoiserOf("corrected velocity", linear, network);
  expect(() => evaluate(inputs(STARTS, ENDS), ({ x, s, t }) => psi(x, time(s), time(t)))).toThrow(
    "A corrected velocity needs the frozen network whose velocity it corrects.",
  );
});
