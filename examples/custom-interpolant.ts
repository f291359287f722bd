/**
 * A flow variant in a page. Instead of on the straight line (1 − t) x₀ + t x₁, noise and data meet on a quarter circle,
 * cos(πt/2) x₀ + sin(πt/2) x₁. Drift and flow map follow from α, β and their rates alone; before a network is trained on them,
 * they are checked against the exact flow of a small corpus, in double precision. Every difference printed should be about 0.
 */
import {
  abs,
  add,
  argmax,
  compile,
  fn,
  full,
  max,
  models,
  mul,
  openInterpreter,
  random,
  sub,
  sum,
  u32,
} from "fluxion";
import type { Tensor } from "fluxion";

const { corpusOracle, interpolantDrift, interpolantJump } = models;
const WORDS = ["New", "York", "San", "Diego"];
const oracle = corpusOracle({
  vocab: 4,
  sequences: [
    [0, 1],
    [2, 3],
  ],
  weights: [2, 1],
});
const ROWS = 120;

/** The interpolant: all that the variant consists of. */
function circle(t: number) {
  const angle = (Math.PI / 2) * t;
  const [alpha, beta] = [Math.cos(angle), Math.sin(angle)];
  return { alpha, beta, alphaRate: (-Math.PI / 2) * beta, betaRate: (Math.PI / 2) * alpha };
}

const everyRow = (x: number): Tensor => full([ROWS], x);

/** b_t(x) = (α̇/α) x + (β̇ − β α̇/α) D_t(x). */
function drift(x: Tensor, t: number): Tensor {
  const point = circle(t);
  const { state, denoiser } = interpolantDrift(point);
  return add(mul(x, state), mul(oracle.denoiserAt(x, everyRow(point.alpha), everyRow(point.beta)), denoiser));
}

/** ψ_{s,t}(x): the straight line's two-time denoiser at the same ratios of signal and noise. */
function twoTimeDenoiser(x: Tensor, s: number, t: number): Tensor {
  const [from, to] = [circle(s), circle(t)];
  const straight = ({ alpha, beta }: typeof from): Tensor => everyRow(beta / (alpha + beta));
  return oracle.twoTimeDenoiser(mul(x, 1 / (from.alpha + from.beta)), straight(from), straight(to));
}

/** X_{s,t}(x) = (α_t/α_s) x + (β_t − β_s α_t/α_s) ψ_{s,t}(x). */
function flowMap(x: Tensor, s: number, t: number): Tensor {
  const { state, denoiser } = interpolantJump(circle(s), circle(t));
  return add(mul(x, state), mul(twoTimeDenoiser(x, s, t), denoiser));
}

/** The drift followed from s to t in Runge-Kutta steps. */
function integrate(start: Tensor, s: number, t: number, steps: number): Tensor {
  const h = (t - s) / steps;
  let x = start;
  for (let i = 0; i < steps; i++) {
    const now = s + i * h;
    const k1 = drift(x, now);
    const k2 = drift(add(x, mul(k1, h / 2)), now + h / 2);
    const k3 = drift(add(x, mul(k2, h / 2)), now + h / 2);
    const k4 = drift(add(x, mul(k3, h)), now + h);
    x = add(x, mul(add(add(k1, k4), mul(add(k2, k3), 2)), h / 6));
  }
  return x;
}

const gap = (x: Tensor, y: Tensor | number): Tensor => max(abs(sub(x, y)));

const check = fn({ key: u32(2) }, ({ key }) => {
  const noise: Tensor = random.normal(key, [ROWS, 2, WORDS.length]);
  const [s, u, t] = [0.1, 0.45, 0.8];
  const x = flowMap(noise, 0, s);
  return {
    drift: gap(flowMap(x, s, t), integrate(x, s, t, 120)),
    semigroup: gap(flowMap(x, s, t), flowMap(flowMap(x, s, u), u, t)),
    rows: gap(sum(twoTimeDenoiser(x, s, t), 2), 1),
    phrases: argmax(flowMap(noise, 0, 1), 2),
  };
});

const checked = await (await compile(check, { device: openInterpreter() })).run({ key: [0, 7] });
for (const [name, value] of [
  ["the jump and the drift, followed step by step", checked.drift],
  ["one jump and two halves of it", checked.semigroup],
  ["sums of ψ's rows and 1", checked.rows],
] as const) {
  console.log(`${name.padEnd(48)} differ by ${(await value.read()).data[0]?.toExponential(1)}`);
}

const ids = (await checked.phrases.read()).data;
const written = Array.from(
  { length: ROWS },
  (_, i) => `${WORDS[ids[2 * i] ?? 0]} ${WORDS[ids[2 * i + 1] ?? 0]}`,
);
for (const phrase of new Set(written))
  console.log(
    `${phrase.padEnd(48)} ${written.filter((text) => text === phrase).length} of ${ROWS} jumps from noise`,
  );
