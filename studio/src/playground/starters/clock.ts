// A clock of your own. Training draws times evenly on a clock τ, and samplers take even steps of it: a clock says where effort goes.
// τ rises from 0 at t = 0 to 1 at t = 1; its rate and its inverse are found. Try (t) => mul(t, 0.9): it is refused.
import { div, exp, models, mul, sub } from "fluxion";

const { clocks, flows, objectives } = models;

const late = clocks.clock({
  name: "late",
  tau: (t) => div(sub(exp(mul(t, 3)), 1), Math.exp(3) - 1),
});
console.log(`The late clock is half-way at t = ${late.time(0.5).toFixed(3)}.`);

export const flow = flows.flow({ name: "late flow", clock: late });

export const map = flows.flowMap({ name: "late map", flow, objective: objectives.semigroup() });
