/**
 * What must hold of a network as the denoiser of a declared flow map: what it is told, how its output is capped, that training judges the
 * denoiser that is sampled from, and that no gradient reaches a target. On random weights, all of them drawn, also those that training
 * begins with at 0.
 *
 * Consumed by src/runtime/verify/network.ts. The parts that are looked at are arguments, so that a training loop of one's own can be put in
 * their place. To add an identity: its entry in `NETWORK`, and its line in `networkResiduals`.
 */
import {
  abs,
  add,
  cast,
  concat,
  div,
  flatten,
  grad,
  less,
  max,
  maximum,
  mul,
  oneHot,
  random,
  stopGradient,
  sub,
  sum,
  unflatten,
} from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { FlowMap } from "../flow/flow-map.ts";
import { judged } from "../flow/judged.ts";
import { vocabularySpace } from "../flow/state-space.ts";
import { diagonalOf } from "../flow/two-time.ts";
import type { Time } from "../flow/two-time.ts";
import type { Network } from "../networks/network.ts";
import { declaredFlowTokenLoss, declaredMapTokenLoss } from "./declared-loss.ts";
import { flowDenoiser, mapDenoiser } from "./declared-network.ts";
import { OUTPUT_SOFTCAP } from "./denoiser.ts";

/** What is looked at; by default what trains and samples declared flows here. */
export interface NetworkParts {
  /** The denoiser that is sampled from. */
  readonly flowDenoiser: typeof flowDenoiser;
  readonly mapDenoiser: typeof mapDenoiser;
  /** The losses that are trained on, per token. */
  readonly flowTokenLoss: typeof declaredFlowTokenLoss;
  readonly mapTokenLoss: typeof declaredMapTokenLoss;
}

export const NETWORK_PARTS: NetworkParts = {
  flowDenoiser,
  mapDenoiser,
  flowTokenLoss: declaredFlowTokenLoss,
  mapTokenLoss: declaredMapTokenLoss,
};

interface NetworkIdentity {
  readonly name: string;
  readonly formula: string;
  readonly cause: string;
  readonly tolerance: number;
}

export const NETWORK = [
  {
    name: "softcap",
    formula: `|logits| ≤ ${OUTPUT_SOFTCAP}, of D_t and of ψ_{s,t}`,
    cause: "Logits without their cap, 30·tanh(logit/30): the network's raw output is used.",
    tolerance: 1e-5,
  },
  {
    name: "conditioning",
    formula: "logits depend on the clock's times τ and not on t, of D_t and of ψ_{s,t}",
    cause: "The network is told t instead of τ, or is not told a time at all.",
    tolerance: 1e-6,
  },
  {
    name: "training judges what is sampled",
    formula: "loss per token = the declared loss of the denoiser that is sampled from",
    cause:
      "Training and sampling make different denoisers of one network: another cap, another time, another state.",
    tolerance: 1e-5,
  },
  {
    name: "stop-gradient",
    formula: "∇ of the map's loss = ∇ of the loss against its target held fixed",
    cause: "A gradient reaches the target: stopGradient is missing, or is put around something else.",
    tolerance: 1e-4,
  },
] as const satisfies readonly NetworkIdentity[];

export type NetworkName = (typeof NETWORK)[number]["name"];

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "dtype" in value;

/** Every weight has a part. */
const SPREAD = 0.6;
/** So that raw logits go far beyond the cap. */
const LOUD = 8;

function drawn<P>(network: Network<P>, key: Tensor<[2], "u32">, spread = SPREAD): P {
  const { leaves, tree } = flatten(network.init(key), isTensor);
  const all = leaves.map((leaf, i) =>
    add(leaf, mul(random.normal(random.foldIn(key, i), leaf.shape) as Tensor, spread)),
  );
  return unflatten(tree, all) as P; // the tree that was taken apart
}

/**
 * The residuals of a flow map whose flow predicts the clean token, each [], of two rows of random tokens on the vocabulary.
 * @param networks of one time and of two
 */
export function networkResiduals<P>(
  declared: FlowMap,
  networks: { readonly teacher: Network<P>; readonly student: Network<P> },
  key: Tensor<[2], "u32">,
  parts: NetworkParts,
): Record<NetworkName, Tensor> {
  // Weights are looked at elsewhere.
  const { weighting: _ofFlow, ...flow } = declared.flow;
  const { weighting: _ofMap, ...rest } = declared;
  const map: FlowMap = { ...rest, flow };
  const { objective } = map;
  const { length, vocab } = networks.student;
  const [weights, more, times, words] = random.split(key, 4) as unknown as Four;
  const space = vocabularySpace;
  const teacher = { network: networks.teacher, params: drawn(networks.teacher, weights), space };
  const student = { network: networks.student, params: drawn(networks.student, more), space };
  const at = (from: number): Time => timeOf(add(mul(random.uniform(times, [ROWS]) as Tensor, 0.2), from));
  const [s, u, t] = [at(0.1), at(0.4), at(0.7)];
  const tokens = cast(mul(random.uniform(words, [ROWS, length]) as Tensor, vocab - 1e-3) as Tensor, "i32");
  const noise = flow.source.sample(words, [ROWS, length, vocab]);
  const clean: Tensor = oneHot(tokens as Tensor<readonly number[], "i32">, vocab);
  const x = flow.state(noise, clean, s.t);

  const one = parts.flowDenoiser(flow, teacher);
  const two = parts.mapDenoiser(flow, student);
  /** Of both, one after the other. */
  const logits = (now: Time, then: Time): Tensor =>
    concat([one.logits?.(x, now) as Tensor, two.logits?.(x, now, then) as Tensor], 0); // over tokens there are logits
  const here = logits(s, t);
  const raised = [
    { ...teacher, params: drawn(networks.teacher, weights, LOUD) },
    { ...student, params: drawn(networks.student, more, LOUD) },
  ] as const;
  const loud = concat(
    [
      parts.flowDenoiser(flow, raised[0]).logits?.(x, s) as Tensor,
      parts.mapDenoiser(flow, raised[1]).logits?.(x, s, t) as Tensor,
    ],
    0,
  );
  const sameTau = logits({ ...s, t: u.t }, { ...t, t: u.t });
  const [otherSource, otherTarget] = [logits({ ...s, tau: u.tau }, t), logits(s, { ...t, tau: u.tau })];
  const deaf = (other: Tensor): Tensor => cast(less(apart(here, other), HEARD) as Tensor, "f32");

  const expected = judged(flow.loss, clean, one.denoiser(x, s), one.logits?.(x, s));

  const targets = { student: two, instant: objective.needsTeacher ? one : diagonalOf(two) };
  const target = stopGradient(objective.target(targets, { x, s, u, t }));
  const learned = (params: P): Tensor<[]> => {
    const { denoiser, logits: own } = parts.mapDenoiser(flow, { ...student, params });
    return sum(judged(map.loss, target, denoiser(x, s, t), own?.(x, s, t)));
  };
  const trained = (params: P): Tensor<[]> =>
    sum(
      parts.mapTokenLoss(
        map,
        { ...student, params },
        { tokens, noise, s, u, t },
        { diagonal: 0, ...(objective.needsTeacher ? { teacher } : {}) },
      ),
    );
  return {
    softcap: maximum(sub(max(abs(loud)), OUTPUT_SOFTCAP) as Tensor, 0),
    conditioning: add(apart(here, sameTau), maximum(deaf(otherSource), deaf(otherTarget))),
    "training judges what is sampled": apart(
      parts.flowTokenLoss(flow, teacher, { tokens, noise, t: s }),
      expected,
    ),
    "stop-gradient": farthest(
      grad(trained as never)(student.params as never),
      grad(learned as never)(student.params as never), // of whatever tree the weights are
    ),
  };
}

type Key = Tensor<[2], "u32">;
type Four = readonly [Key, Key, Key, Key];

const ROWS = 2;
/** Times of rows on a clock τ = t², so that t cannot be taken for τ. */
const timeOf = (t: Tensor): Time => ({ t, tau: mul(t, t), rate: mul(t, 2) });

/** By less than this, logits have not heard of a change. */
const HEARD = 1e-6;
const apart = (a: Tensor, b: Tensor): Tensor => max(abs(sub(a, b)));

/** The largest difference of two trees of gradients, as a share of 1 + the largest entry. */
function farthest(found: unknown, expected: unknown): Tensor {
  const [a, b] = [flatten(found, isTensor).leaves, flatten(expected, isTensor).leaves];
  const most = (values: readonly Tensor[]): Tensor => values.reduce((x, y) => maximum(x, y));
  const size = most(b.map((leaf) => max(abs(leaf)) as Tensor));
  return div(most(a.map((leaf, i) => apart(leaf, b[i] as Tensor))), add(size, 1)); // of one structure
}
