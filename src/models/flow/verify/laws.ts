/**
 * Identities of samplers that renew noise: the states that they make have the law of the flow's. Seen through averages of draws, where that is
 * exact however few the steps are. Consumed by identities.ts.
 *
 * To add a sampler that keeps the law, its line in `LAWFUL`.
 */
import { random, slice, square } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { uniformClock } from "../clock.ts";
import type { Flow } from "../flow.ts";
import { corpusOracle } from "../oracle.ts";
import { oracleDenoiser } from "../oracle-denoiser.ts";
import { bridge } from "../samplers/bridge.ts";
import { gammaResampling } from "../samplers/jumps.ts";
import { sample } from "../samplers/sample.ts";
import { held } from "../samplers/sampled-denoiser.ts";
import type { SampledDenoiser } from "../samplers/sampled-denoiser.ts";
import { hostInterpolant } from "../samplers/schedule.ts";
import type { Course, Schedule, ScheduleOptions } from "../samplers/schedule.ts";
import { vocabularyWorld } from "../samplers/world.ts";
import type { DrawnIdentity, LeftOut } from "./identity.ts";
import { TO } from "./regimes.ts";
import { SMOOTH, smoothData } from "./smooth-data.ts";
import { averaged } from "./sources.ts";
import { CORPUS } from "./world.ts";

const DRAWS = 4096;
/** The first step begins at noise, where little can go wrong. */
const STEPS = 3;
/** Share of noise that is renewed. */
const GAMMA = 0.6;

/** A sampler whose states have the law of the flow's after any number of steps. */
export interface LawfulSampler {
  readonly name: string;
  /** Of what: "token" for texts of one token, which it may draw from their exact posterior; "map" for exact flow maps. */
  readonly keepsLaw: "token" | "map";
  readonly make: (course: Course, steps: number, options: ScheduleOptions) => Schedule;
}

/** Of src/models/flow/samplers. */
const LAWFUL: readonly LawfulSampler[] = [
  { name: "bridge", keepsLaw: "token", make: bridge },
  {
    name: "resampling",
    keepsLaw: "map",
    make: (course, steps, options) =>
      gammaResampling(course, steps, { ...options, gamma: GAMMA, back: "state" }),
  },
];

/** What is sampled from, and mean and variance of every coordinate of its clean states. */
interface Known {
  readonly denoiser: SampledDenoiser;
  readonly moments: readonly { readonly mean: number; readonly variance: number }[];
}

/** Texts of one token, as frequent as the corpus's sentences. */
function oneToken({ interpolant, source }: Flow): Known {
  const { vocab, weights } = CORPUS;
  const sequences = Array.from({ length: vocab }, (_, id) => [id]);
  const total = weights.reduce((sum, w) => sum + w, 0);
  return {
    denoiser: held(
      oracleDenoiser(corpusOracle({ vocab, sequences, weights }, { source }), interpolant),
      interpolant,
    ),
    moments: weights.map((w) => ({ mean: w / total, variance: (w / total) * (1 - w / total) })),
  };
}

/** Data that are spread out, whose exact map is known in closed form. */
const spreadOut = ({ interpolant }: Flow, scale: number): Known => ({
  denoiser: smoothData(interpolant, scale ** 2),
  moments: [SMOOTH, SMOOTH],
});

function lawIdentity(flow: Flow, scale: number, latest: number, sampler: LawfulSampler): DrawnIdentity {
  const { interpolant, source } = flow;
  const { name, keepsLaw, make } = sampler;
  const dims = keepsLaw === "token" ? CORPUS.vocab : 2;
  const coordinates = Array.from({ length: dims }, (_, i) => i);
  return {
    kind: "draws",
    family: "sampler",
    name: `law of ${name}`,
    formula: `states after ${STEPS} steps have the mean β E[x₁] and the variance α²σ² + β² Var[x₁] of I_t`,
    cause:
      "Noise that is renewed and noise that is kept do not add up to α_t, or the signal not to β_t: squares of the two shares must sum to 1.",
    draws: DRAWS,
    of: ["x", "x²"].flatMap((what) => coordinates.map((i) => `${what} at coordinate ${i}`)),
    averages(key) {
      const known = keepsLaw === "token" ? oneToken(flow) : spreadOut(flow, scale);
      // On the interpolant's own time, as with orders: a clock makes other steps of it.
      const end = TO * latest;
      const schedule = make({ interpolant, clock: uniformClock(), source }, STEPS, { end });
      const { state } = sample(known.denoiser, schedule, {
        keys: random.splitStacked(key, DRAWS) as Tensor,
        world: vocabularyWorld({ vocab: dims, length: 1, source }),
      });
      const { alpha, beta } = hostInterpolant(interpolant).at(end);
      const means = known.moments.map(({ mean }) => beta * mean);
      const variances = known.moments.map(({ variance }) => (alpha * scale) ** 2 + beta ** 2 * variance);
      const each = coordinates.map((i) => slice(state, 2, i, i + 1) as Tensor);
      return averaged(
        [...each, ...each.map((x) => square(x) as Tensor)],
        [...means, ...means.map((mean, i) => (variances[i] ?? 0) + mean ** 2)],
      );
    },
  };
}

/** @param more samplers to look at, besides those that come with the project */
export function lawIdentities(
  flow: Flow,
  latest: number,
  more: readonly LawfulSampler[] = [],
): { readonly identities: readonly DrawnIdentity[]; readonly leftOut: readonly LeftOut[] } {
  const { interpolant, source } = flow;
  const samplers = [...LAWFUL, ...more];
  const without = (reason: string) => ({
    identities: [],
    leftOut: samplers.map(({ name }): LeftOut => ({ family: "sampler", name: `law of ${name}`, reason })),
  });
  if (interpolant.length !== undefined)
    return without(
      `the interpolant "${interpolant.name}" gives tokens times of their own, and the schedules of this sampler have one number for a whole state`,
    );
  const { scale } = source;
  if (scale === undefined || source.mean !== 0)
    return without(
      `it mixes the noise of a state with fresh noise, which is Gaussian around 0 then, and the source is ${source.name}`,
    );
  return { identities: samplers.map((each) => lawIdentity(flow, scale, latest, each)), leftOut: [] };
}
