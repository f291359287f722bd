/**
 * An interpolant of your own. Instead of on the straight line (1 − t) x₀ + t x₁, noise and data meet on a quarter circle,
 * cos(πt/2) x₀ + sin(πt/2) x₁. α and β are all that is declared: rates come from differentiation, drift and flow map follow. Before a
 * network is trained on it, it is checked against the exact map of a small corpus. Every difference printed should be about 0.
 */
import { abs, add, argmax, compile, fn, full, max, models, mul, openInterpreter, random } from "fluxion";
import { reshape, scan, sin, sub, sum, u32, zeros } from "fluxion";
import type { Tensor } from "fluxion";

const { flows } = models;
const circle = flows.interpolant({
  name: "circle",
  alpha: (t) => sin(mul(sub(1, t), Math.PI / 2)), // the cosine, exactly 0 at t = 1
  beta: (t) => sin(mul(t, Math.PI / 2)),
});

const ROWS = 120;
const WORDS = ["New York", "San Diego"];
const oracle = models.corpusOracle({ vocab: 4, sequences: [[0, 1], [2, 3]], weights: [2, 1] }); // prettier-ignore
const map = flows.oracleMap(oracle, circle);

/** X_{s,t}(x): where the flow that is at x at time s arrives at time t. A clock would show τ; without one it shows t. */
const every = (t: Tensor): models.flows.Time => ({ t, tau: t, rate: full([ROWS], 1) });
const at = (t: number): models.flows.Time => every(full([ROWS], t));
const arrive = (x: Tensor, s: number, t: number): Tensor => flows.arrive(map, x, at(s), at(t));

/** The drift b_t(x) followed from s to t, in midpoint steps. */
function follow(start: Tensor, s: number, t: number, steps: number): Tensor {
  const h = (t - s) / steps;
  const drift = (x: Tensor, now: Tensor): Tensor =>
    flows.drift(circle, x, oracle.denoiserAt(x, circle.alpha(now), circle.beta(now)), every(now));
  const step = ([x, now]: readonly [Tensor, Tensor]) => {
    const halfway = add(x, mul(drift(x, now), h / 2));
    return [[add(x, mul(drift(halfway, add(now, h / 2)), h)), add(now, h)] as const, null] as const;
  };
  return scan(step, [start, at(s).t] as const, zeros([steps]))[0][0];
}

const gap = (x: Tensor, y: Tensor | number): Tensor => max(abs(sub(x, y)));
const check = fn({ key: u32(2) }, ({ key }) => {
  const noise: Tensor = random.normal(key, [ROWS, 2, 4]);
  const x = arrive(noise, 0, 0.1);
  return {
    "the jump and the drift, followed step by step": gap(arrive(x, 0.1, 0.8), follow(x, 0.1, 0.8, 1000)),
    "one jump and two halves of it": gap(arrive(x, 0.1, 0.8), arrive(arrive(x, 0.1, 0.45), 0.45, 0.8)),
    "sums of ψ's rows and 1": gap(sum(map.denoiser(x, at(0.1), at(0.8)), 2), 1),
    phrases: reshape(argmax(arrive(noise, 0, 1), 2), [ROWS * 2]),
  };
});
const ran = await (await compile(check, { device: openInterpreter() })).run({ key: [0, 7] });
const { phrases, ...gaps } = ran;
for (const [name, value] of Object.entries(gaps))
  console.log(`${name.padEnd(48)} differ by ${(await value.read()).data[0]?.toExponential(1)}`);
const ids = Array.from((await phrases.read()).data, Number);
WORDS.forEach((words, k) => {
  const count = ids.filter((id, i) => i % 2 === 0 && id === 2 * k && ids[i + 1] === 2 * k + 1).length;
  console.log(`${words.padEnd(48)} ${count} of ${ROWS} jumps from noise`);
});
