/** Forward passes of the official networks, stage by stage: FLM, FMLM, and token input. */
import { afterAll, describe, it } from "vitest";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import {
  attention,
  matmul,
  mul,
  nn,
  silu,
  softcap,
  add,
  stack,
  transpose,
  gather,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { logDenoiser, OUTPUT_SOFTCAP } from "../../../src/models/language/denoiser.ts";
import type { Dit, DitParams } from "../../../src/models/networks/dit.ts";
import type { Conditioning } from "../../../src/models/networks/network.ts";
import { expectGolden, host, hosts, PRECISIONS, run, stateOf, summarize, tiny } from "./support.ts";
import type { Precision } from "./support.ts";

afterAll(() => summarize("forward passes"));

/** What attention of the first block sees: recomputed here, for nothing outside of it needs to see it. */
function firstAttention(network: Dit, params: DitParams, hidden: Tensor, condition: Tensor) {
  const block = params.blocks[0];
  if (block === undefined) throw new Error("a network without blocks");
  const { length, width, heads } = network.config;
  const rotary = nn.rotaryTables({ length, depth: width / heads });
  const [shift, scale] = nn.modulations(block.modulation, condition, 6);
  const input: Tensor = nn.modulate(nn.layerNorm(block.norm1, hidden), shift, scale);
  const [q, k, v] = nn.splitQkv(nn.linear(block.attention.qkv, input), heads);
  const [rotatedQ, rotatedK]: readonly Tensor[] = [nn.applyRotary(rotary, q), nn.applyRotary(rotary, k)];
  if (rotatedQ === undefined || rotatedK === undefined) throw new Error("two were made");
  const byPosition = (x: Tensor): Tensor => transpose(x, [0, 2, 1, 3]);
  const products: Tensor = matmul(rotatedQ, transpose(rotatedK, [0, 1, 3, 2]));
  return {
    block0_qkv_rotated: stack([byPosition(rotatedQ), byPosition(rotatedK), byPosition(v)], 2),
    block0_attn_scores: softcap(mul(products, 1 / Math.sqrt(width / heads)) as Tensor, 50),
    block0_attn_out_heads: byPosition(attention(rotatedQ, rotatedK, v, { softcap: 50 })),
  };
}

function forward(network: Dit, params: DitParams, x: Tensor, conditioning: Conditioning) {
  const embed = vocabularySpace.embed(x, network.embedding(params));
  const { time, targetTime, blocks, logits } = network.stages(params, embed, conditioning);
  const condition: Tensor = silu(targetTime === undefined ? time : (add(time, targetTime) as Tensor));
  return {
    raw_logits: logits,
    capped_logits: softcap(logits, OUTPUT_SOFTCAP),
    log_probs: logDenoiser(network, params, vocabularySpace, x, conditioning),
    stages: {
      embed,
      temb: time,
      ...(targetTime === undefined ? {} : { temb_prime: targetTime }),
      block0: blocks[0] as Tensor, // the network has two
      block1: blocks[1] as Tensor,
      ...firstAttention(network, params, embed, condition),
    },
  };
}

/** Compares all that `forward` gives, on the host, with recordings of the same names. */
function expectStages(
  precision: Precision,
  golden: ReturnType<typeof tiny>,
  { stages, ...outputs }: { readonly stages: object },
): void {
  // Both are records of tensors.
  const named = (values: object, ...path: readonly string[]) =>
    Object.entries(values as Readonly<Record<string, HostTensor>>).map(
      ([name, value]) => [[...path, name], value] as const,
    );
  expectGolden(precision, golden, [...named(outputs), ...named(stages, "stages")]);
}

describe.each(PRECISIONS)("forward passes in %s", (precision) => {
  it("a: FLM denoiser with its stages", async () => {
    const golden = tiny("a_flm_forward");
    const { network, params } = await stateOf("weights.safetensors");
    const found = await run(precision, { params, ...hosts(golden.inputs, "x", "tau") }, (input) =>
      forward(network, input.params, input.x, { tau: input.tau }),
    );
    expectStages(precision, golden, found);
  });

  it("a2: token input, with a conditioning and with 0", async () => {
    const golden = tiny("a2_token_input_forward");
    const { network, params } = await stateOf("weights.safetensors");
    const logits = await run(precision, { params, ...hosts(golden.inputs, "tokens", "cond") }, (input) => {
      const hidden: Tensor = gather(input.params.embedding, input.tokens as Tensor<[], "i32">);
      const at = (tau: Tensor): Tensor => network.logits(input.params, hidden, { tau });
      return { given: at(input.cond), zero: at(mul(input.cond, 0)) };
    });
    expectGolden(precision, golden, [
      [["raw_logits"], logits.given],
      [["raw_logits_cond0"], logits.zero],
    ]);
  });

  it("b: FMLM two-time denoiser with its stages, and with its source time alone", async () => {
    const golden = tiny("b_fmlm_forward");
    const { network, params } = await stateOf("weights.fmlm.safetensors");
    const inputs = {
      params,
      x: host(golden.inputs, "x"),
      s: host(golden.inputs, "tau_s"),
      t: host(golden.inputs, "tau_t"),
    };
    const { both, alone } = await run(precision, inputs, ({ params: weights, x, s, t }) => ({
      both: forward(network, weights, x, { tau: s, target: t }),
      alone: logDenoiser(network, weights, vocabularySpace, x, { tau: s }),
    }));
    expectStages(precision, golden, both);
    expectGolden(precision, golden, [[["log_probs_source_only"], alone]]);
  });
});
