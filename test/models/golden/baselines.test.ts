/** Baselines: g, the processes, losses, scores and posteriors of AR, MDLM, SEDD, D3PM and Duo on recorded logits. */
import { afterAll, describe, expect, it } from "vitest";
import { exactTensor } from "../../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../../src/compiler/host-tensor.ts";
import { add, exp, full, gather, logSoftmax, mean, mul, neg, nn, oneHot, onesLike, sigmoid, softmax, sqrt, sub } from "../../../src/dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../src/dsl/index.ts";
import { absorbing, maskedBound, subs } from "../../../src/models/language/discrete/absorbing.ts";
import { nextTokenLoss, nextTokens } from "../../../src/models/language/discrete/autoregressive.ts";
import { gaussianDuality } from "../../../src/models/language/discrete/duality.ts";
import { corrupted, entryAt, stepDivergence } from "../../../src/models/language/discrete/process.ts";
import { levelAt, logLinear, totalNoise } from "../../../src/models/language/discrete/schedule.ts";
import { absorbingRatios, absorbingScore, absorbingScoreLoss, analyticStep } from "../../../src/models/language/discrete/score.ts"; // prettier-ignore
import { uniform, uniformBound } from "../../../src/models/language/discrete/uniform.ts";
import { perState } from "../../../src/models/flow/interpolant.ts";
import { numbers } from "../../golden/golden.ts";
import {
  expectGolden,
  floats,
  host,
  hosts,
  PRECISIONS,
  run,
  scalar,
  stored,
  summarize,
  tiny,
} from "./support.ts";

afterAll(() => summarize("baselines"));

const VOCAB = 11;
const SCHEDULE = logLinear();

/** A column [rows, 1] as the recordings have levels, from [rows]. */
const asColumn = ({ dtype, shape, data }: HostTensor): HostTensor =>
  exactTensor(dtype, [...shape, 1], Array.from(data, Number));

/** Only the rows [vocab] of positions that are masked, others as 0: the recordings have no meaning there. */
const whereMasked = (values: HostTensor, noised: HostTensor, mask: number): ExactTensor =>
  floats(
    values.shape,
    Array.from(values.data, (x, i) => (Number(noised.data[Math.floor(i / VOCAB)]) === mask ? x : 0)),
  );

/** A case whose outputs under some names are 0 where nothing is masked. */
function onMasked(golden: ReturnType<typeof tiny>, names: readonly string[]): ReturnType<typeof tiny> {
  const [noised, mask] = [host(golden.outputs, "x_t"), scalar(golden.inputs, "mask_id")];
  const changed = names.map((name) => {
    const { shape, data } = whereMasked(host(golden.outputs, name), noised, mask);
    return [name, { shape, dtype: "float" as const, data: Array.from(data) }] as const;
  });
  return { ...golden, outputs: { ...golden.outputs, ...Object.fromEntries(changed) } };
}

describe.each(PRECISIONS)("baselines in %s", (precision) => {
  it("g: AR, the loss of recorded logits", async () => {
    const golden = tiny("g_ar");
    const inputs = hosts(golden.inputs, "tokens", "logits");
    const { nll, average } = await run(precision, inputs, ({ tokens, logits }) => {
      const loss = nextTokenLoss(logits, nextTokens(tokens).targets, scalar(golden.inputs, "mask_id"));
      return { nll: loss, average: mean(loss) as Tensor };
    });
    expectGolden(precision, golden, [[["nll"], nll], [["mean"], average]]); // prettier-ignore
  });

  it("g: AR, a causal network of the layers of nn", async () => {
    const golden = tiny("g_ar");
    const weights = await stored("weights.ar.safetensors");
    const named = (name: string): ExactTensor => {
      const found = weights.get(`backbone.${name}`);
      if (found === undefined) throw new Error(`the file has no ${name}`);
      return found;
    };
    const layer = (name: string) => ({ weight: named(`${name}.weight`), bias: named(`${name}.bias`) });
    const params = {
      embedding: named("vocab_embed.embedding"),
      blocks: [0, 1].map((i) => ({
        norm1: { weight: named(`blocks.${i}.norm1.weight`) },
        attention: {
          qkv: { weight: named(`blocks.${i}.attn_qkv.weight`) },
          out: { weight: named(`blocks.${i}.attn_out.weight`) },
        },
        norm2: { weight: named(`blocks.${i}.norm2.weight`) },
        mlp: { up: layer(`blocks.${i}.mlp.0`), down: layer(`blocks.${i}.mlp.2`) },
      })),
      norm: { weight: named("output_layer.norm_final.weight") },
      head: layer("output_layer.linear"),
    };
    const inputs = { tokens: host(golden.inputs, "tokens"), params };
    const { logits, nll } = await run(precision, inputs, ({ tokens, params: p }) => {
      const { inputs: before, targets } = nextTokens(tokens);
      const rotary = nn.rotaryTables({ length: 5, depth: 8 });
      let x: Tensor = gather(p.embedding, before as Tensor<[], "i32">);
      for (const { norm1, attention, norm2, mlp } of p.blocks) {
        x = add(x, nn.selfAttention(attention, nn.layerNorm(norm1, x), { heads: 2, rotary, causal: true }));
        x = add(x, nn.mlp(mlp, nn.layerNorm(norm2, x)));
      }
      const found = nn.linear(p.head, nn.layerNorm(p.norm, x));
      return { logits: found, nll: nextTokenLoss(found, targets, scalar(golden.inputs, "mask_id")) };
    });
    expectGolden(precision, golden, [
      [["raw_logits_from_network"], logits],
      [["nll_from_network"], nll],
    ]);
  });

  it("g: MDLM, from the schedule to the bound and the reverse step", async () => {
    const recorded = tiny("g_mdlm");
    const mask = scalar(recorded.inputs, "mask_id");
    const process = absorbing({ vocab: VOCAB, mask });
    const inputs = hosts(recorded.inputs, "tokens", "logits", "t", "uniforms");
    const result = await run(precision, inputs, ({ tokens, logits, t, uniforms }) => {
      const level = levelAt(SCHEDULE, t);
      const later = levelAt(SCHEDULE, sub(t, scalar(recorded.inputs, "dt")) as Tensor);
      const xt = corrupted(tokens, full(tokens.shape, mask, "i32"), level.alpha, uniforms);
      const predicted = subs(process, logits, xt);
      const clean: Tensor = exp(predicted);
      const loss = maskedBound(process, predicted, { tokens, noised: xt, level });
      const left = (weights: Tensor): Tensor => mul(weights, perState(sub(1, level.alpha) as Tensor));
      const step = { clean, noised: xt, alphaT: level.alpha };
      return {
        alpha: level.alpha,
        rate: level.rate,
        xt,
        predicted,
        loss,
        average: mean(loss) as Tensor,
        // The recordings leave the weights unnormalized.
        ancestral: left(process.posterior({ ...step, alphaS: later.alpha })),
        last: left(process.posterior({ ...step, alphaS: onesLike(level.alpha) as Tensor })),
        score: absorbingRatios(process, clean, xt, level.alpha),
      };
    });
    const masked = (values: HostTensor): HostTensor => whereMasked(values, result.xt, mask);
    expectGolden(precision, onMasked(recorded, ["ancestral_probs", "final_probs"]), [
      [["alpha_t"], asColumn(result.alpha)],
      [["dalpha_t"], asColumn(result.rate)],
      [["x_t"], result.xt],
      [["nelbo"], result.loss],
      [["mean"], result.average],
      [["ancestral_probs"], masked(result.ancestral)],
      [["final_probs"], masked(result.last)],
      [["score"], result.score],
    ]);
    // What is impossible has −1e6 in the recordings, and less here.
    const expected = numbers(recorded.outputs, "log_x_theta");
    expected.forEach((value, i) => {
      const found = Number(result.predicted.data[i]);
      if (value < -1e5) expect(found).toBeLessThan(-1e5);
      else expect(Math.abs(found - value)).toBeLessThan(precision === "f64" ? 1e-9 : 1e-5);
    });
    expect(numbers(recorded.outputs, "network_conditioning")).toEqual([0, 0, 0, 0]);
  });

  it.each(["g_sedd", "g_sedd_mask_inside"])(
    "%s: the score, its entropy and the analytic step",
    async (name) => {
      const recorded = tiny(name);
      const process = absorbing({ vocab: VOCAB, mask: scalar(recorded.inputs, "mask_id") });
      const inputs = hosts(recorded.inputs, "tokens", "logits", "t", "uniforms");
      const result = await run(precision, inputs, ({ tokens, logits, t, uniforms }) => {
        const level = levelAt(SCHEDULE, t);
        const later = levelAt(SCHEDULE, sub(t, scalar(recorded.inputs, "dt")) as Tensor);
        const xt = corrupted(tokens, full(tokens.shape, process.mask, "i32"), level.alpha, uniforms);
        const logScore = absorbingScore(process, logits, xt, level.alpha);
        const loss = absorbingScoreLoss(process, logScore, { tokens, noised: xt, level });
        const step = { noised: xt, alphaT: level.alpha };
        return {
          alpha: level.alpha,
          rate: level.rate,
          sigma: totalNoise(level),
          xt,
          logScore,
          loss,
          average: mean(loss) as Tensor,
          analytic: analyticStep(process, exp(logScore) as Tensor, { ...step, alphaS: later.alpha }),
          last: analyticStep(process, exp(logScore) as Tensor, {
            ...step,
            alphaS: onesLike(level.alpha) as Tensor,
          }),
        };
      });
      // In the last step the mask is no choice.
      const withoutMask = floats(
        result.last.shape,
        Array.from(result.last.data, (x, i) => (i % VOCAB === process.mask ? 0 : x)),
      );
      expectGolden(precision, recorded, [
        [["alpha_t"], asColumn(result.alpha)],
        [["dalpha_t"], asColumn(result.rate)],
        [["sigma"], asColumn(result.sigma)],
        [["x_t"], result.xt],
        [["log_score"], result.logScore],
        [["loss"], result.loss],
        [["mean"], result.average],
        [["analytic_probs"], result.analytic],
        [["denoiser_probs"], withoutMask],
      ]);
    },
  );

  it("g: D3PM, the discrete-time term as in the original code, and the reconstruction", async () => {
    const recorded = tiny("g_d3pm");
    // T = 1000 times a divergence of nearly equal laws: an f32 run that sums the laws' logarithms in another order differs by this much.
    const rounding = { diffusion_original_mdlm: 3e-4, per_token_corrected: 3e-4 };
    const golden = { ...recorded, f32_max_abs_diff: { ...recorded.f32_max_abs_diff, ...rounding } };
    const steps = scalar(golden.inputs, "T");
    const process = absorbing({ vocab: VOCAB, mask: scalar(golden.inputs, "mask_id") });
    const inputs = {
      ...hosts(golden.inputs, "tokens", "logits"),
      atZero: host(golden.inputs, "logits_at_zero"),
      t: host(golden.outputs, "t_discrete"),
      uniforms: host(golden.inputs, "uniforms"),
    };
    const result = await run(precision, inputs, ({ tokens, logits, atZero, t, uniforms }) => {
      const noise = levelAt(SCHEDULE, t);
      const xt = corrupted(tokens, full(tokens.shape, process.mask, "i32"), noise.alpha, uniforms);
      const clean: Tensor = oneHot(tokens as Tensor<readonly number[], "i32">, VOCAB);
      // The original code steps by 1/T in 1 − α.
      const alphaS: Tensor = add(noise.alpha, 1 / steps);
      const step = { clean, noised: xt, alphaT: noise.alpha, alphaS };
      const diffusion: Tensor = mul(stepDivergence(process, step, softmax(logits)), steps);
      const reconstruction: Tensor = neg(entryAt(logSoftmax(atZero), tokens));
      return {
        alpha: noise.alpha,
        xt,
        predicted: logSoftmax(logits),
        diffusion,
        reconstruction,
        whole: add(diffusion, reconstruction) as Tensor,
      };
    });
    expectGolden(precision, golden, [
      [["alpha_t"], asColumn(result.alpha)],
      [["x_t"], result.xt],
      [["log_x_theta"], result.predicted],
      [["reconstruction"], result.reconstruction],
      [["diffusion_original_mdlm"], result.diffusion],
      [["per_token_corrected"], result.whole],
    ]);
    // The step that a row's time belongs to.
    numbers(golden.inputs, "t").forEach((t, i) =>
      expect((Math.floor(t * steps) + 1) / steps).toBeCloseTo(
        numbers(golden.outputs, "t_discrete")[i] ?? NaN,
        12,
      ),
    );
  });

  it("g: Duo, from the schedule to the bound and the posterior", async () => {
    const golden = tiny("g_duo_base");
    const process = uniform({ vocab: VOCAB });
    const inputs = hosts(golden.inputs, "tokens", "logits", "t", "uniforms", "replacements");
    const result = await run(precision, inputs, ({ tokens, logits, t, uniforms, replacements }) => {
      const level = levelAt(SCHEDULE, t);
      const later = levelAt(SCHEDULE, sub(t, scalar(golden.inputs, "dt")) as Tensor);
      const xt = corrupted(tokens, replacements, level.alpha, uniforms);
      const clean: Tensor = oneHot(tokens as Tensor<readonly number[], "i32">, VOCAB);
      const loss = uniformBound(process, softmax(logits), { tokens, noised: xt, level });
      const step = { noised: xt, alphaT: level.alpha };
      return {
        alpha: level.alpha,
        rate: level.rate,
        sigma: totalNoise(level),
        later: later.alpha,
        xt,
        predicted: logSoftmax(logits),
        loss,
        average: mean(loss) as Tensor,
        ofClean: process.posterior({ ...step, clean, alphaS: later.alpha }),
        ofModel: process.posterior({ ...step, clean: softmax(logits), alphaS: later.alpha }),
        last: process.posterior({ ...step, clean: softmax(logits), alphaS: onesLike(level.alpha) as Tensor }),
      };
    });
    expectGolden(precision, golden, [
      [["alpha_t"], asColumn(result.alpha)],
      [["dalpha_t"], asColumn(result.rate)],
      [["network_conditioning"], result.sigma],
      [["x_t"], result.xt],
      [["log_x_theta"], result.predicted],
      [["nelbo"], result.loss],
      [["mean"], result.average],
      [["alpha_s"], asColumn(result.later)],
      [["posterior_clean"], result.ofClean],
      [["posterior_model"], result.ofModel],
      [["final_probs"], result.last],
    ]);
  });

  it("g: Duo's curriculum, the latent, its tokens and the bound at α = T(γ)", async () => {
    const recorded = tiny("g_duo_curriculum");
    const temperatures = ["tau_log10_-1", "tau_log10_-1.5", "tau_log10_-3"];
    // The recorded f32 run kept α in doubles, and 1 − α is down to 4e-4 here: what rounding α to f32 does to a loss of 48.
    const rounding = temperatures.flatMap((name) => [
      [`${name}.loss_per_token`, 2e-5] as const,
      [`${name}.mean`, 1e-6] as const,
    ]);
    const golden = {
      ...recorded,
      f32_max_abs_diff: { ...recorded.f32_max_abs_diff, ...Object.fromEntries(rounding) },
    };
    const process = uniform({ vocab: VOCAB });
    const duality = gaussianDuality({ vocab: VOCAB });
    const gammas = numbers(golden.outputs, "shared", "gamma_t");
    const [low, high] = [scalar(golden.inputs, "gamma_min"), scalar(golden.inputs, "gamma_max")];
    numbers(golden.inputs, "t").forEach((t, i) => {
      expect(low + t * (high - low)).toBeCloseTo(gammas[i] ?? NaN, 6);
      expect(duality.alpha(gammas[i] ?? NaN)).toBeCloseTo(
        numbers(golden.outputs, "shared", "alpha_t")[i] ?? NaN,
        4,
      );
      // The recorded rate is a forward difference of step 1/1000, up to 0.35 % off.
      const rate = duality.alphaRate(gammas[i] ?? NaN) * (high - low);
      expect(Math.abs(rate / (numbers(golden.outputs, "shared", "dalpha_t")[i] ?? NaN) - 1)).toBeLessThan(
        4e-3,
      );
    });
    const flat = (name: string): ExactTensor => floats([4], numbers(golden.outputs, "shared", name));
    const inputs = {
      ...hosts(golden.inputs, "tokens", "logits", "noise"),
      gamma: floats([4], gammas),
      alpha: flat("alpha_t"),
      rate: flat("dalpha_t"),
    };
    const result = await run(precision, inputs, ({ tokens, logits, noise, gamma, alpha, rate }) => {
      const latent = duality.latent(tokens, noise, gamma);
      const noised = duality.discrete(latent);
      const level = { alpha, rate };
      const loss = uniformBound(process, softmax(logits), { tokens, noised, level });
      return {
        signal: sqrt(sigmoid(neg(gamma))) as Tensor,
        spread: sqrt(sigmoid(gamma)) as Tensor,
        sigma: totalNoise(level),
        noised,
        predicted: logSoftmax(logits),
        loss,
        average: mean(loss) as Tensor,
        softened: temperatures.map((name) => {
          const inverse = scalar(golden.outputs, name, "inverse_temperature");
          return { scaled: mul(latent, inverse) as Tensor, soft: duality.softened(latent, 1 / inverse) };
        }),
      };
    });
    expectGolden(precision, golden, [
      [["shared", "gaussian_signal"], result.signal],
      [["shared", "gaussian_noise"], result.spread],
      [["shared", "x_t"], result.noised],
      [["shared", "sigma"], asColumn(result.sigma)],
      [["shared", "log_x_theta"], result.predicted],
      ...temperatures.flatMap(
        (name, i) =>
          [
            [[name, "scaled_latent"], result.softened[i]?.scaled ?? result.noised],
            [[name, "softmax_of_scaled_latent"], result.softened[i]?.soft ?? result.noised],
            [[name, "loss_per_token"], result.loss],
            [[name, "mean"], result.average],
          ] as const,
      ),
    ]);
  });
});
