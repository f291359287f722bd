/**
 * Planted mistakes where tokens have times of their own: each is caught, and by the identity that says what is wrong.
 */
import { describe, expect, it } from "vitest";
import {
  add,
  concat,
  customJvp,
  expandDims,
  greater,
  less,
  mul,
  sin,
  slice,
  sub,
  where,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import { linear } from "../../../src/models/flow/interpolant.ts";
import type { Interpolant } from "../../../src/models/flow/interpolant.ts";
import type { Objective } from "../../../src/models/flow/objectives/objective.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { blockCausal, positioned } from "../../../src/models/flow/schedule.ts";
import type { Schedule } from "../../../src/models/flow/schedule.ts";
import { failures } from "../../support/verify-failures.ts";

const LENGTH = 4;
const blocks = blockCausal({ blocks: 2 });
const right = positioned(linear, blocks, { length: LENGTH });
const one = (x: Tensor, position: number): Tensor => slice(x, 1, position, position + 1);
/** [batch, length] with one token changed. */
const changed = (x: Tensor, position: number, to: Tensor): Tensor =>
  concat(
    Array.from({ length: LENGTH }, (_, at) => (at === position ? to : one(x, at))),
    1,
  );
const scheduled = (schedule: Schedule): Interpolant => positioned(linear, schedule, { length: LENGTH });

/** t, whose derivative is said to be twice as large. */
const hasty = customJvp(
  (t: Tensor) => mul(t, 1),
  ([t], [tangent]) => [mul(t, 1) as Tensor, mul(tangent as Tensor, 2) as Tensor] as const,
);

const interpolants: readonly (readonly [string, readonly string[], Interpolant])[] = [
  [
    "whose rate is wrong for one token",
    ["rates of the interpolant"],
    { ...right, beta: (t) => changed(right.beta(t), 1, one(right.beta(hasty(t)), 1)) },
  ],
  [
    "in which a finished token moves on",
    ["tokens that stand still"],
    {
      ...right,
      // The first token sways after its end at t = 1/2, and is back at t = 1.
      beta(t) {
        const [beta, now] = [right.beta(t), expandDims(t, 1) as Tensor];
        const sway: Tensor = mul(mul(sub(now, 0.5) as Tensor, sub(now, 1)), 0.4);
        const first = where(greater(now, 0.5), sub(one(beta, 0), sway), one(beta, 0)) as Tensor;
        return changed(beta, 0, first);
      },
    },
  ],
  [
    "in which a waiting token loses its noise",
    ["tokens that stand still"],
    {
      ...right,
      // Before its begin at t = 1/2 the last token is weaker noise.
      alpha(t) {
        const [alpha, now] = [right.alpha(t), expandDims(t, 1) as Tensor];
        const dip: Tensor = mul(mul(now, sub(0.5, now)), 0.8);
        return changed(alpha, 3, where(less(now, 0.5), sub(one(alpha, 3), dip), one(alpha, 3)) as Tensor);
      },
    },
  ],
  [
    "that leaves a token unfinished",
    ["ends of the interpolant"],
    scheduled((t, length) => changed(blocks(t, length), 2, mul(one(blocks(t, length), 2), 0.9))),
  ],
  [
    "that turns back",
    ["monotone interpolant"],
    scheduled((t, length) => {
      const [times, now] = [blocks(t, length), expandDims(t, 1) as Tensor];
      return changed(times, 0, add(now, mul(sin(mul(now, 4 * Math.PI) as Tensor), 0.25)));
    }),
  ],
];

describe("an interpolant by position", () => {
  it("passes when it is right", async () => {
    expect(await failures(flow({ name: "right", interpolant: right }), ["interpolant", "flow"])).toEqual([]);
  });

  it.each(interpolants)("%s", async (_what, names, interpolant) => {
    const failed = await failures(flow({ name: "mistaken", interpolant }), ["interpolant"]);
    expect(failed).toEqual(expect.arrayContaining([...names]));
  });

  it("whose rate is wrong for one token does not carry its states, which the drift says too", async () => {
    const [, , interpolant] = interpolants[0] as (typeof interpolants)[number]; // the first
    // Two tokens are looked at; the mistaken one must be among them.
    const two = {
      ...interpolant,
      beta: (t: Tensor) => changed(right.beta(t), 0, one(right.beta(hasty(t)), 0)),
    };
    expect(await failures(flow({ name: "mistaken", interpolant: two }), ["flow"])).toContain(
      "drift of what is drawn",
    );
  });
});

describe("an objective for tokens with times of their own", () => {
  it("that takes the weights of one clock for all of them is caught", async () => {
    const shared: Objective = {
      ...semigroup(),
      target({ student }, { x, s, u, t }) {
        const near = student.denoiser(x, s, u);
        // Half and half, which is right for no token in particular.
        return mul(add(near, student.denoiser(x, u, t)), 0.5);
      },
    };
    const clock = decodingError({ vocab: 27 });
    const failed = await failures(
      flowMap({ name: "mistaken", flow: flow({ name: "", interpolant: right, clock }), objective: shared }),
      ["objective"],
    );
    expect(failed[0]).toBe("target");
  });
});
