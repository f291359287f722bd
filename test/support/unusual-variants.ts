/**
 * Correct variants that nobody publishes: odd interpolants, clocks, sources, predictions, weightings, losses and orders of tokens. Consumed
 * by the test that verify raises no alarm on them.
 */
import { add, cast, constant, exp, softplus, mul, random, square, sub, sum } from "../../src/dsl/index.ts";
import type { Tensor } from "../../src/dsl/index.ts";
import * as clocks from "../../src/models/flow/clocks.ts";
import { flowMap } from "../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../src/models/flow/flow-map.ts";
import { flow } from "../../src/models/flow/flow.ts";
import type { Flow } from "../../src/models/flow/flow.ts";
import {
  interpolant,
  trigonometric,
  variancePreserving,
  variancePreservingLinear,
} from "../../src/models/flow/interpolant.ts";
import { eulerianLogits } from "../../src/models/flow/objectives/eulerian.ts";
import { lagrangianLogits } from "../../src/models/flow/objectives/lagrangian.ts";
import { meanFlow } from "../../src/models/flow/objectives/mean-flow.ts";
import { semigroup } from "../../src/models/flow/objectives/semigroup.ts";
import { anyOrder, blockCausal, positioned } from "../../src/models/flow/schedule.ts";
import type { Schedule } from "../../src/models/flow/schedule.ts";
import { gaussian, logistic, uniform } from "../../src/models/flow/source.ts";
import type { Source } from "../../src/models/flow/source.ts";
import type { Family } from "../../src/models/flow/verify/identity.ts";

const LAST = Math.exp(-3);
const decaying = interpolant({
  name: "decaying noise",
  alpha: (t) => mul(sub(exp(mul(t, -3) as Tensor), LAST), 1 / (1 - LAST)),
  beta: (t) => t,
});
const powers = interpolant({
  name: "powers",
  alpha: (t) => mul(sub(1, t), square(sub(1, t))),
  beta: (t) => sub(1, square(sub(1, t))),
});
const late = variancePreserving("late", square);

/** Half of the coordinates about 1, half about −1. */
const twoSided: Source = {
  name: "two-sided",
  sample(key, shape) {
    const [a, b] = random.split(key, 2) as unknown as readonly [Tensor<[2], "u32">, Tensor<[2], "u32">]; // two keys
    const side: Tensor = sub(mul(cast(random.bernoulli(b, 0.5, shape) as Tensor, "f32"), 2), 1);
    return add(side, mul(random.normal(a, shape) as Tensor, 0.6));
  },
  mean: 0,
  variance: 1.36,
  logDensity(x) {
    // −x²/(2v) + log(e^{x/v} + e^{−x/v}), without its overflow.
    const slope: Tensor = mul(x, 1 / 0.36);
    const each: Tensor = sub(sub(softplus(mul(slope, 2)), slope), mul(mul(x, slope), 0.5));
    return sum(each, [x.shape.length - 2, x.shape.length - 1]);
  },
};

const clock = clocks.decodingError({ vocab: 300 });
const shuffled: Schedule = (t, length) =>
  anyOrder({ rank: constant([3, 0, 4, 1, 2], [5], "i32"), overlap: 0.7 })(t, length);

/** With the families that are worth the time; all by default. */
export const unusual: readonly (readonly [variant: Flow | FlowMap, families?: readonly Family[]])[] = [
  [flow({ name: "noise of powers", interpolant: powers, source: gaussian({ scale: 0.2 }), predicts: "noise" })], // prettier-ignore
  [flow({ name: "points on a circle, much noise, heavy at the ends", interpolant: trigonometric, source: gaussian({ scale: 3 }), predicts: "clean point", weighting: (_t, { alpha, beta }) => add(1, mul(square(sub(alpha, beta)), 5)) })], // prettier-ignore
  [flow({ name: "tokens by their squared error, logistic, late", interpolant: late, source: logistic(), loss: "squared error", clock: clocks.cosineClock() })], // prettier-ignore
  [flow({ name: "velocities of decaying noise", interpolant: decaying, predicts: "velocity", clock: clocks.logSnrClock() })], // prettier-ignore
  [flow({ name: "two-sided noise", source: twoSided, loss: "KL", clock })],
  [flow({ name: "bounded noise, mixed clock", interpolant: trigonometric, source: uniform(), clock: clocks.mixtureClock({ base: clock, weight: 0.5 }) })], // prettier-ignore
  [flow({ name: "scores, weighted by the noise", interpolant: variancePreservingLinear, source: gaussian({ scale: 1.7 }), predicts: "score", weighting: (_t, { alpha }) => square(alpha) })], // prettier-ignore
  [flow({ name: "any order, overlapping", interpolant: positioned(powers, shuffled, { length: 5 }), clock })], // prettier-ignore
  [flow({ name: "points in blocks, logistic", interpolant: positioned(variancePreservingLinear, blockCausal({ blocks: 2 }), { length: 3 }), source: logistic(), predicts: "clean point" })], // prettier-ignore
  [
    flowMap({ name: "blocks on a circle", flow: flow({ name: "", interpolant: positioned(trigonometric, blockCausal({ blocks: 2, overlap: 0.25 }), { length: 7 }), clock }), objective: semigroup(), midpoint: "random" }), // prettier-ignore
    ["objective"],
  ],
  [
    flowMap({ name: "Lagrangian logits of decaying noise, KL", flow: flow({ name: "", interpolant: decaying, source: twoSided, clock }), objective: lagrangianLogits(), loss: "KL" }), // prettier-ignore
    ["flow map", "objective"],
  ],
  [
    flowMap({ name: "mean flow of powers, little noise", flow: flow({ name: "", interpolant: powers, source: gaussian({ scale: 0.3 }), predicts: "velocity" }), objective: meanFlow() }), // prettier-ignore
    ["objective", "sampler"],
  ],
  [
    flowMap({ name: "Eulerian logits, late", flow: flow({ name: "", interpolant: late, clock: clocks.cosineClock() }), objective: eulerianLogits() }), // prettier-ignore
    ["objective"],
  ],
];
