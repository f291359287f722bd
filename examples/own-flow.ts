/**
 * A flow and a flow map of your own, for the command line: it prints nothing, it exports what it declares.
 *
 *   npx fluxion verify examples/own-flow.ts
 *   npx fluxion train examples/own-flow.ts --export lingering --quick --out runs/lingering
 *   npx fluxion train examples/own-flow.ts --export leaps --quick --teacher runs/lingering --out runs/leaps
 *   npx fluxion sample runs/leaps --variant examples/own-flow.ts --steps 1
 */
import { models, square, sub } from "fluxion";

const { clocks, flows, objectives } = models;

/** Noise that stays longer than on the straight line: it is at three quarters where half of the text is there. */
const interpolant = flows.interpolant({
  name: "lingering",
  alpha: (t) => sub(1, square(t)),
  beta: (t) => t,
});

export const lingering = flows.flow({
  name: "lingering noise",
  interpolant,
  clock: clocks.decodingError({ vocab: 500, interpolant }),
});

export const leaps = flows.flowMap({
  name: "leaps",
  flow: lingering,
  objective: objectives.semigroup(),
  boundary: 1 / 8,
});
