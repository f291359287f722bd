/**
 * Sampling by drawn texts: at every time a text is drawn from the denoiser, token by token, and the state moves on as if it were the
 * answer, x_t = Γ x_s + Ξ x̂₁ with the coefficients of each token. For one token this has exactly the law of the interpolant, for a text
 * as steps become small, or as tokens leave their masks one by one.
 *
 * It is the sampler for tokens with times of their own, and for sources without noise, where the drift has one path: from a point mass, in
 * any order, it is the ancestral sampler of masked diffusion. The draw of a token that has not begun has no weight, and a finished token stays.
 *
 * Consumed by users. For schedules of numbers, with one time for a whole state, see sample.ts.
 */
import {
  add,
  argmax,
  broadcastTo,
  constant,
  equal,
  expandDims,
  mul,
  oneHot,
  random,
  scan,
  slice,
  softmax,
  squeeze,
  where,
  zeros,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { pointAt } from "../interpolant.ts";
import { jump, moved } from "../jump.ts";
import type { Time } from "../two-time.ts";
import { given as knownTokens } from "./given.ts";
import { logitsNeeded } from "./sampled-denoiser.ts";
import type { SampledDenoiser } from "./sampled-denoiser.ts";
import { DRAWS } from "./sample.ts";
import type { SampleInputs, Samples } from "./sample.ts";
import { evenTimes } from "./schedule.ts";
import type { Course, HostTime, ScheduleOptions } from "./schedule.ts";
import { foldedKeys, perKey } from "./world.ts";

/**
 * Samples in `steps` steps that are even on the clock. With an order whose blocks follow each other and as many steps as blocks, each step
 * reveals one block.
 * @throws TypeError when the denoiser has no distribution over tokens
 * @throws RangeError unless `steps` is a whole number >= 1 and 0 <= start < end <= 1
 */
export function sampleEndpoints(
  denoiser: SampledDenoiser,
  course: Course,
  { steps, ...ends }: ScheduleOptions & { readonly steps: number },
  { keys, world, priorScale = 1, given, watch }: SampleInputs,
): Samples {
  const logits = logitsNeeded("A sampler that draws endpoints", denoiser);
  const { interpolant } = denoiser;
  const batch = keys.shape[0] ?? 0;
  const times = evenTimes(course, steps, ends);
  const source = world.noise(foldedKeys(keys, 0));
  const prior = priorScale === 1 ? source : (mul(source, priorScale) as Tensor);
  const known = knownTokens(given, prior, world, interpolant);
  const column = (pick: (time: HostTime) => number, from: number): Tensor =>
    constant(times.slice(from, from + steps).map(pick), [steps]);
  const columns = (from: number): Time => ({
    t: column(({ t }) => t, from),
    tau: column(({ tau }) => tau, from),
    rate: column(({ rate }) => rate, from),
  });
  const draw: Tensor = constant(
    Array.from({ length: steps }, (_, i) => DRAWS + i),
    [steps],
    "i32",
  );
  const everyRow = (x: Tensor): Tensor => broadcastTo(x, [batch]);
  const rows = ({ t, tau, rate }: Time): Time => ({
    t: everyRow(t),
    tau: everyRow(tau),
    rate: everyRow(rate),
  });
  const [[state], { tokens: trajectory, seen: watched }] = scan(
    (
      [before, last]: readonly [Tensor, Tensor],
      row: { readonly s: Time; readonly t: Time; readonly draw: Tensor },
    ) => {
      const [s, t] = [rows(row.s), rows(row.t)];
      const x = known.state(before, s.t);
      const found = logits(x, s, t);
      const gumbel = perKey(
        (key) => random.gumbel(key, found.shape.slice(1)),
        foldedKeys(keys, row.draw as Tensor<[], "i32">),
      );
      const from = pointAt(interpolant, s.t);
      const finished: Tensor = equal(from.alpha, 0);
      const perToken = finished.shape.length === 1 ? (expandDims(finished, 1) as Tensor) : finished;
      const tokens: Tensor = where(perToken, last, argmax(add(found, gumbel), 2));
      const point = denoiser.point(oneHot(tokens, found.shape[2] ?? 0));
      const next = moved(x, point, jump(from, pointAt(interpolant, t.t)));
      const kept = known.tokens(tokens);
      const said = (): Tensor => {
        const known = oneHot(last as Tensor<[], "i32">, found.shape[2] ?? 0) as Tensor;
        return where(expandDims(perToken, 2) as Tensor, known, softmax(found));
      };
      const seen = watch?.({ state: x, value: said(), tokens: kept }) ?? {};
      return [[next, kept], { tokens: kept, seen }] as const;
    },
    [prior, zeros([batch, prior.shape[1] ?? 0], "i32") as Tensor] as const,
    { s: columns(0), t: columns(1), draw },
  );
  return {
    state: known.state(state, everyRow(constant([times.at(-1)?.t ?? 1], []))),
    tokens: squeeze(slice(trajectory, 0, steps - 1, steps), 0),
    trajectory,
    watched,
  };
}
