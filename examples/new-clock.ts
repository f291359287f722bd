/**
 * A clock of your own. Training draws times evenly on a clock τ, and samplers take even steps of it, so a clock says where effort goes.
 * Here one is declared, one is measured, and next to clocks that are known they are asked how even their steps are: of all that is not
 * known of a text at the start, which share is decided in each?
 */
import { add, compile, constant, div, exp, fn, full, log, mean, models, mul, oneHot } from "fluxion";
import { openInterpreter, random, sub, sum, u32 } from "fluxion";
import type { Tensor } from "fluxion";

const { clocks, flows } = models;
const device = openInterpreter();

// τ is a function of the language that rises from 0 at t = 0 to 1 at t = 1. Its rate dτ/dt comes from differentiation, the time of a τ
// from a search that ends at rounding. What turns back or misses an end is refused: try (t) => mul(t, 0.9).
const late = clocks.clock({ name: "late", tau: (t) => div(sub(exp(mul(t, 3)), 1), Math.exp(3) - 1) });
const half = late.time(0.5);
console.log(
  `The late clock is half-way at t = ${half.toFixed(3)}; its rate there is ${late.dTau(half).toFixed(3)}.`,
);

// How uncertain is the text of a noisy state, on average, at each time? For a network, measure its cross-entropy instead.
const phrases = [[0, 1, 2], [2, 3, 0], [0, 3, 3], [1, 1, 1]]; // prettier-ignore
const oracle = models.corpusOracle({ vocab: 4, sequences: phrases });
const ROWS = 96;
const at = (t: number): Tensor => full([ROWS], t);
const noiseOf = (key: Tensor<[2], "u32">): Tensor => random.normal(key, [ROWS, 3, 4]);
const times = Array.from({ length: 21 }, (_, i) => i / 20);
const uncertainty = fn({ key: u32(2) }, ({ key }) => {
  const data = constant(Array.from({ length: ROWS / 4 }, () => phrases.flat()).flat(), [ROWS, 3], "i32");
  return times.map((time) => {
    const point = flows.pointAt(flows.linear, at(time));
    const state = flows.mixed(point, noiseOf(key), oneHot(data, 4));
    const posterior = oracle.posterior(state, point.alpha, point.beta);
    return mul(mean(sum(mul(posterior, log(add(posterior, 1e-30))), 1)), -1);
  });
});
const measured = await (await compile(uncertainty, { device })).run({ key: [0, 1] });
const entropies: number[] = [];
for (const value of measured) entropies.push((await value.read()).data[0] ?? NaN);
// On the entropic clock, even steps take away even shares of the uncertainty, up to what lies between the measurements.
const entropic = clocks.entropicClock({ times, entropies });

const STEPS = 6;
const left = (t: number): number => {
  const i = Math.min(19, Math.floor(t * 20));
  return (entropies[i] ?? NaN) + (t * 20 - i) * ((entropies[i + 1] ?? NaN) - (entropies[i] ?? NaN));
};
for (const clock of [clocks.uniformClock(), late, clocks.decodingError({ vocab: 4 }), entropic]) {
  const stops = Array.from({ length: STEPS + 1 }, (_, i) => left(clock.time(i / STEPS)) / left(0));
  const shares = stops.slice(1).map((after, i) => `${(100 * ((stops[i] ?? NaN) - after)).toFixed(0)} %`);
  console.log(`${clock.name.padEnd(16)}${shares.map((share) => share.padStart(6)).join("")}`);
}
