/**
 * The exact flow of a finite corpus: sequences y_k with weights π_k. Their posterior given a noisy state is a softmax, so
 * denoiser, velocity and score are exact, and the flow map is an ordinary differential equation that is solved to rounding.
 *
 * Consumed by verify, tests and examples, wherever a learned network needs a truth to be compared with. Everything is in the
 * language: it batches, differentiates and runs on devices.
 */
import {
  add,
  constant,
  div,
  einsum,
  expandDims,
  greater,
  iota,
  matmul,
  maximum,
  minimum,
  mul,
  oneHot,
  scan,
  slice,
  softmax,
  square,
  sub,
  sum,
  where,
  zeros,
} from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { checkCorpus } from "./corpus.ts";
import type { Corpus } from "./corpus.ts";
import { expectedNoise, perRow, score, velocity } from "./fields.ts";
import { perState } from "./interpolant.ts";
import { centred, deviationOf, gaussian, momentOver } from "./source.ts";
import type { Source } from "./source.ts";

/** The world that a corpus lives in; by default that of FLM. */
export interface OracleOptions {
  /** What noise is, with a density; N(0, I) by default. */
  readonly source?: Source;
  /** The state of every token, [vocab][dim]; by default its one-hot vector. */
  readonly embedding?: readonly (readonly number[])[];
}

export interface IntegrationOptions {
  /** Runge-Kutta steps from source to target time; 256 by default, good to about 1e-9 in f64. */
  readonly steps?: number;
}

/**
 * The exact fields of a corpus. States are [batch, length, dim], where dim is the vocabulary unless there is an embedding; denoisers
 * are distributions over tokens, [batch, length, vocab]; times are [batch], of the linear interpolant where nothing else is said.
 */
export interface Oracle {
  readonly vocab: number;
  readonly length: number;
  /** Probability of every sequence given x = α x₀ + β x₁, [batch, sequences]; α and β are [batch], or [batch, length] per token. */
  posterior(x: Tensor, alpha: Tensor, beta: Tensor): Tensor;
  /** The state that a distribution over tokens stands for: [batch, length, vocab] -> [batch, length, dim]. */
  point(distribution: Tensor): Tensor;
  /** The tokens given x = α x₀ + β x₁, under any interpolant. */
  denoiserAt(x: Tensor, alpha: Tensor, beta: Tensor): Tensor;
  /** D_t(x); at t = 1 the most probable sequence. */
  denoiser(x: Tensor, t: Tensor): Tensor;
  /** b_t(x), for t < 1. */
  velocity(x: Tensor, t: Tensor): Tensor;
  /** ∇ log p_t(x) of a Gaussian source, for t < 1. @throws RangeError for other sources */
  score(x: Tensor, t: Tensor): Tensor;
  /** E[x₀ | I_t = x], for t < 1. */
  noise(x: Tensor, t: Tensor): Tensor;
  /** δ_{s,t}(x) for s <= t <= 1; rows sum to 1 exactly as D's do, and δ_{t,t} = D_t. */
  twoTimeDenoiser(x: Tensor, s: Tensor, t: Tensor, options?: IntegrationOptions): Tensor;
  /** X_{s,t}(x) for s <= t <= 1. */
  flowMap(x: Tensor, s: Tensor, t: Tensor, options?: IntegrationOptions): Tensor;
}

/** Smallest 1 − t that is divided by: by then the posterior is a single sequence to any precision. */
const CLOSEST = 1e-6;

/**
 * The least α of a token with a time of its own, in units of the noise: its clean point is known by then to e^−500, and what the other
 * tokens say is not lost in the rounding of what this one says.
 */
const KNOWN = 1 / 32;

/**
 * From this time on the denoiser of a state on its way is constant: its log-odds are of order (t/(1−t))² = 2400. The flow is
 * integrated up to here and known in closed form beyond.
 */
const COMMITTED = 0.98;

/** 1 − t, kept away from 0. */
const left = (t: Tensor): Tensor => maximum(sub(1, t), CLOSEST);

/** Signal to noise t/(1 − t). */
const signalToNoise = (t: Tensor): Tensor => div(t, left(t));

/**
 * The oracle of a corpus.
 * @throws RangeError as checkCorpus does, and for an embedding or a source that does not fit
 */
export function corpusOracle(
  { vocab, sequences, weights }: Corpus,
  { source = gaussian(), embedding }: OracleOptions = {},
): Oracle {
  const length = checkCorpus({ vocab, sequences, weights });
  if (source.support === "simplex" && embedding !== undefined)
    throw new RangeError(
      `The source "${source.name}" is on the simplex of one-hot states, and rows of an embedding are on none.`,
    );
  const likelihood = likelihoodOf(source);
  const dim = checkEmbedding(vocab, embedding);
  const noiseUnit = unitOf(source, vocab, embedding);
  const total = weights?.reduce((sum, w) => sum + w, 0) ?? sequences.length;
  const logWeights = sequences.map((_, k) => Math.log((weights?.[k] ?? 1) / total));
  /** [sequences, length, vocab]. */
  const corpus = (): Tensor => oneHot(constant(sequences.flat(), [sequences.length, length], "i32"), vocab);
  const point = (distribution: Tensor): Tensor =>
    embedding === undefined
      ? distribution
      : matmul(distribution, constant(embedding.flat(), [vocab, dim]) as Tensor);

  /** softmax_k(log π_k + log p(y − m c_k)) of y = x/α and m = β/α, [batch] or [batch, length], where c_k are the states of the sequences. */
  function posteriorOf(y: Tensor, m: Tensor, states: Tensor): Tensor {
    return softmax(add(likelihood(y, m, states), constant(logWeights, [sequences.length])) as Tensor);
  }
  const expected = (posterior: Tensor, table: Tensor): Tensor =>
    einsum("b k, k l v -> b l v", posterior, table);

  const posterior = (x: Tensor, alpha: Tensor, beta: Tensor): Tensor => {
    const least = alpha.shape.length === 2 && source.scale !== undefined ? KNOWN / noiseUnit : CLOSEST;
    const noise: Tensor = maximum(alpha, Math.max(least, CLOSEST));
    return posteriorOf(div(x, perState(noise)), div(beta, noise), point(corpus()));
  };
  const denoiserAt = (x: Tensor, alpha: Tensor, beta: Tensor): Tensor =>
    expected(posterior(x, alpha, beta), corpus());
  const denoiser = (x: Tensor, t: Tensor): Tensor => denoiserAt(x, sub(1, t), t);

  /** The time at which noise of unit size would have the signal to noise, in its units, that there is at t. */
  const unitTime = (t: Tensor): Tensor =>
    noiseUnit === 1 ? t : div(t, add(t, mul(sub(1, t) as Tensor, noiseUnit)));

  /**
   * Along the flow, the scaled state y = x/(1−t) = x₀ + m x₁ moves by dy/dm = D in signal to noise m = t/(1−t): no division by
   * 1 − t, and δ is the plain average of D over m. Classical Runge-Kutta steps in m, whose ends are uniform in t. State and m are counted
   * in units of the noise, so that much noise and little noise are resolved alike.
   */
  function twoTimeDenoiser(
    x: Tensor,
    source: Tensor,
    target: Tensor,
    { steps = 256 }: IntegrationOptions = {},
  ): Tensor {
    const [s, t] = [unitTime(source), unitTime(target)];
    const end: Tensor = minimum(t, maximum(s, COMMITTED));
    const span: Tensor = sub(end, s);
    const table = corpus();
    const states = point(table);
    const at = (m: Tensor, y: Tensor): Tensor =>
      expected(posteriorOf(mul(y, noiseUnit), mul(m, noiseUnit), states), table);
    const time = (fraction: Tensor): Tensor => add(s, mul(span, fraction));
    /** Share of [m_s, m_end] that is passed after a fraction of the time; also where the interval is empty. */
    const passed = (fraction: Tensor): Tensor => mul(fraction, div(left(end), left(time(fraction))));
    const whole: Tensor = div(span, mul(left(s), left(end)));
    const start: Tensor = div(x, perRow(mul(left(source), noiseUnit)));
    const fractions: Tensor = div(iota([steps], "f32"), steps);
    const [[y, average]] = scan(
      ([now, mean]: readonly [Tensor, Tensor], fraction: Tensor) => {
        const [from, to] = [passed(fraction), passed(add(fraction, 1 / steps))];
        const share: Tensor = sub(to, from);
        const m = signalToNoise(time(fraction));
        const step: Tensor = mul(share, whole);
        const ahead = (by: number, slope: Tensor): Tensor =>
          at(add(m, mul(step, by)), add(now, mul(perRow(mul(step, by)), point(slope))));
        const k1 = at(m, now);
        const k2 = ahead(0.5, k1);
        const k3 = ahead(0.5, k2);
        const k4 = ahead(1, k3);
        const slope: Tensor = div(
          add(add(k1, mul(add(k2, k3) as Tensor, 2) as Tensor) as Tensor, k4) as Tensor,
          6,
        );
        return [
          [add(now, mul(perRow(step), point(slope))), add(mean, mul(perRow(share), slope))] as const,
          null,
        ];
      },
      [start, zeros([x.shape[0] ?? 0, length, vocab])] as readonly [Tensor, Tensor],
      fractions,
    );
    // Beyond `end` D does not change: δ = w·(average so far) + (1 − w)·D_end, w the share of [m_s, m_t] before `end`.
    const beyond = greater(t, end);
    const jump: Tensor = where(beyond, sub(t, s) as Tensor, 1);
    const weight: Tensor = where(beyond, mul(div(sub(1, t), left(end)), div(span, jump)) as Tensor, 1);
    const last = at(signalToNoise(end), y);
    return add(mul(perRow(weight), average), mul(perRow(sub(1, weight)), last));
  }

  return {
    vocab,
    length,
    posterior,
    point,
    denoiserAt,
    denoiser,
    velocity: (x, t) => velocity(x, point(denoiser(x, t)), t),
    score: (x, t) => {
      if (source.scale === undefined)
        throw new RangeError(
          `The score of a flow is known here for Gaussian sources only, not "${source.name}".`,
        );
      const around: Tensor = div(score(x, point(denoiser(x, t)), t), source.scale ** 2);
      if (source.mean === 0) return around;
      return add(around, div(momentOver(source.mean, dim), perRow(mul(left(t), source.scale ** 2))));
    },
    noise: (x, t) => expectedNoise(x, point(denoiser(x, t)), t),
    twoTimeDenoiser,
    flowMap: (x, s, t, options) => {
      const jumped: Tensor = div(sub(t, s), left(s));
      const weight = perRow(jumped);
      return add(mul(sub(1, weight), x), mul(weight, point(twoTimeDenoiser(x, s, t, options))));
    },
  };
}

/**
 * log p(y − m c_k) up to a constant, [batch, sequences], of y [batch, length, dim], m [batch] or [batch, length], and
 * c [sequences, length, dim].
 */
type Likelihood = (y: Tensor, m: Tensor, states: Tensor) => Tensor;

function likelihoodOf({ name, logDensity, scale, mean }: Source): Likelihood {
  if (scale !== undefined)
    return (scaled, m, states) => {
      const y = centred(scaled, mean);
      // −|y − m c|²/(2σ²) without |y|², which is common to all, and less |c₀|², so that large parts cancel before they are large.
      const sizes: Tensor = sum(square(states), 2);
      const excess: Tensor = sub(sizes, slice(sizes, 0, 0, 1));
      const half: Tensor = mul(square(m), 0.5);
      if (m.shape.length === 2) {
        const matches: Tensor = einsum("b l d, k l d -> b k", mul(y, perState(m)) as Tensor, states);
        return div(sub(matches, einsum("b l, k l -> b k", half, excess)), scale ** 2);
      }
      const matches: Tensor = einsum("b l d, k l d -> b k", y, states);
      return div(sub(mul(expandDims(m, 1), matches), mul(expandDims(half, 1), sum(excess, 1))), scale ** 2);
    };
  if (logDensity === undefined)
    throw new RangeError(`The source "${name}" has no density, so the posterior of a corpus is not known.`);
  return (y, m, states) =>
    logDensity(sub(expandDims(y, 1), mul(expandDims(perState(m), 1), expandDims(states, 0))));
}

/**
 * The size of the noise as a share of what tells the two nearest tokens apart: 1 where noise of unit variance meets one-hot rows, of which a
 * flow knows the token at {@link COMMITTED}.
 */
function unitOf(source: Source, vocab: number, embedding: OracleOptions["embedding"]): number {
  const deviation = deviationOf(source, embedding?.[0]?.length ?? vocab);
  if (embedding === undefined) return deviation;
  const distances = embedding.flatMap((a, i) =>
    embedding.slice(i + 1).map((b) => Math.hypot(...a.map((x, j) => x - (b[j] ?? 0)))),
  );
  const nearest = Math.min(...distances.filter((distance) => distance > 0));
  return Number.isFinite(nearest) ? (Math.SQRT2 * deviation) / nearest : deviation;
}

function checkEmbedding(vocab: number, embedding: OracleOptions["embedding"]): number {
  if (embedding === undefined) return vocab;
  const dim = embedding[0]?.length ?? 0;
  if (embedding.length !== vocab || dim === 0 || embedding.some((row) => row.length !== dim))
    throw new RangeError(
      `An embedding has a row for each of the ${vocab} tokens, all of one length, got ${embedding.length} rows.`,
    );
  return dim;
}
