/**
 * A network as the denoiser that a declaration says it is: of one time for a flow, of two for a flow map. The network is told clock
 * times. What it puts out per token is, by the declaration, logits of the clean token, or a point: the clean point itself, or a velocity; and
 * for a flow map what its parameterization says.
 *
 * Consumed by declared-loss.ts and by samplers.
 */
import { argmax, div, einsum, equal, mul, softmax, square, sub, sum, where } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { overTokens, usualParameterization } from "../flow/flow-map.ts";
import type { FlowMap } from "../flow/flow-map.ts";
import type { Flow } from "../flow/flow.ts";
import { pointAt } from "../flow/interpolant.ts";
import { jump, wronskian } from "../flow/jump.ts";
import { denoiserOf } from "../flow/parameterization.ts";
import { held } from "../flow/samplers/sampled-denoiser.ts";
import type { SampledDenoiser } from "../flow/samplers/sampled-denoiser.ts";
import { tableOf } from "../flow/state-space.ts";
import type { StateSpace } from "../flow/state-space.ts";
import type { OneTimeDenoiser, Time, TwoTimeDenoiser } from "../flow/two-time.ts";
import type { Conditioning, Network } from "../networks/network.ts";
import { cappedLogits } from "./denoiser.ts";

/** A network, its weights, and where its states live. */
export interface NetworkModel<P> {
  readonly network: Network<P>;
  readonly params: P;
  readonly space: StateSpace;
  readonly dropoutKey?: Tensor<[2], "u32">;
}

function told<P>({ dropoutKey }: NetworkModel<P>, tau: Tensor, target?: Tensor): Conditioning {
  return {
    tau,
    ...(target === undefined ? {} : { target }),
    ...(dropoutKey === undefined ? {} : { dropoutKey }),
  };
}

/** What the network puts out, [batch, length, vocab], without a cap. */
const output = <P>(model: NetworkModel<P>, x: Tensor, conditioning: Conditioning): Tensor =>
  model.network.logits(
    model.params,
    model.space.embed(x, model.network.embedding(model.params)),
    conditioning,
  );

const capped = <P>(model: NetworkModel<P>, x: Tensor, conditioning: Conditioning): Tensor =>
  cappedLogits(model.network, model.params, model.space, x, conditioning);

const pointOf =
  <P>(flow: Flow, { space, network, params }: NetworkModel<P>) =>
  (value: Tensor): Tensor =>
    flow.predicts === "clean token" ? space.expected(value, network.embedding(params)) : value;

/** What the network predicts of a state where that is a point: as the flow declares it, before it is made a clean point. */
export const predicted = <P>(model: NetworkModel<P>, x: Tensor, t: Time): Tensor =>
  output(model, x, told(model, t.tau));

/** The denoiser D_t of a flow. */
export function flowDenoiser<P>(
  flow: Flow,
  model: NetworkModel<P>,
): OneTimeDenoiser & Pick<TwoTimeDenoiser, "point"> {
  const { predicts } = flow;
  const point = pointOf(flow, model);
  if (predicts === "clean token") {
    const logits = (x: Tensor, t: Time): Tensor => capped(model, x, told(model, t.tau));
    return { logits, denoiser: (x, t) => softmax(logits(x, t)), point };
  }
  return {
    denoiser: (x, t) => flow.convert(predicted(model, x, t), predicts, "clean point", x, t.t),
    point,
  };
}

/**
 * The two-time denoiser ψ_{s,t} of a flow map, or of a flow's usual one.
 * @param frozen the flow's frozen network, whose velocity a corrected velocity corrects
 */
export function mapDenoiser<P>(
  declared: Flow | Pick<FlowMap, "kind" | "flow" | "parameterization">,
  model: NetworkModel<P>,
  frozen?: OneTimeDenoiser,
): TwoTimeDenoiser {
  const { flow, parameterization } =
    declared.kind === "flow"
      ? { flow: declared, parameterization: usualParameterization(declared) }
      : declared;
  const { interpolant } = flow;
  const point = pointOf(flow, model);
  if (overTokens({ flow, parameterization })) {
    const logits = (x: Tensor, s: Time, t: Time): Tensor => capped(model, x, told(model, s.tau, t.tau));
    return { interpolant, logits, denoiser: (x, s, t) => softmax(logits(x, s, t)), point };
  }
  const value = (x: Tensor, s: Time, t: Time): Tensor => output(model, x, told(model, s.tau, t.tau));
  const now = frozen === undefined ? undefined : (x: Tensor, s: Time) => frozen.denoiser(x, s);
  return { interpolant, point, denoiser: denoiserOf(parameterization, interpolant, value, now) };
}

/**
 * The denoiser of a flow, or of a flow map along it, as what is sampled from: the tokens of points are those of the nearest clean states.
 */
export function sampledDenoiser<P>(
  flow: Flow,
  model: NetworkModel<P>,
  kind: "flow" | "flow map",
): SampledDenoiser {
  const denoiser =
    kind === "flow map" ? mapDenoiser(flow, model) : held(flowDenoiser(flow, model), flow.interpolant);
  // Of one-hot states the nearest is that of the largest coordinate, and of a distribution the most probable token.
  if (flow.predicts === "clean token" || model.space.kind === "vocabulary") return denoiser;
  const { network, params, space } = model;
  return {
    ...denoiser,
    tokens(x, s, t) {
      const table = tableOf(space, network.embedding(params));
      // −|p − e|²/2 without |p|², which is common to all tokens.
      const matches: Tensor = einsum("b l d, v d -> b l v", denoiser.denoiser(x, s, t), table);
      return argmax(sub(matches, mul(sum(square(table), 1), 0.5)), 2);
    },
  };
}

/** The squared rate at which a velocity moves with ψ: (Ξ/(t − s))², and at s = t (β̇ − βα̇/α)². [batch] */
export function velocityWeight(flow: Flow, s: Time, t: Time): Tensor {
  const [from, to] = [pointAt(flow.interpolant, s.t), pointAt(flow.interpolant, t.t)];
  const still = equal(s.t, t.t);
  const span = where(still, 1, sub(t.t, s.t) as Tensor) as Tensor;
  // At t = 1, to which a time may round, ψ is the state itself and says nothing of the velocity.
  const bare = equal(from.alpha, 0);
  const here = where(bare, 0, div(wronskian(from), where(bare, 1, from.alpha)));
  const rate = where(still, here, div(jump(from, to).jumped, span)) as Tensor;
  return mul(rate, rate);
}
