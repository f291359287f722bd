// An interpolant of your own: noise and data meet on a quarter circle instead of on a straight line.
// α and β are all that is declared. Rates come from differentiation; drift and flow map follow.
import { models, mul, sin, sub } from "fluxion";

const { clocks, flows, objectives } = models;

const interpolant = flows.interpolant({
  name: "circle",
  alpha: (t) => sin(mul(sub(1, t), Math.PI / 2)), // the cosine, exactly 0 at t = 1
  beta: (t) => sin(mul(t, Math.PI / 2)),
});

export const circle = flows.flow({
  name: "circle",
  interpolant,
  clock: clocks.decodingError({ vocab: 4, interpolant }),
});

// The flow map is learned by the semigroup identity: a jump goes where two half jumps go.
export const leaps = flows.flowMap({
  name: "leaps on the circle",
  flow: circle,
  objective: objectives.semigroup(),
});
