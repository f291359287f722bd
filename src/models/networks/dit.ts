/**
 * The diffusion transformer of FLM and FMLM: adaLN-zero blocks conditioned on clock time, bidirectional attention with rotary
 * positions and capped scores (arXiv:2602.16813; Peebles and Xie 2023). Any size.
 *
 * Consumed by the models in src/models/language. The authors' parameter names are in official-names.ts.
 */
import { add, mul, nn, OpError, random, silu } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { Conditioning, LinearHead, Network } from "./network.ts";

export interface DitConfig {
  readonly vocab: number;
  readonly length: number;
  /** A multiple of twice the heads. */
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Width of the time embedding. */
  readonly conditioning: number;
  /** Hidden width of the MLP over `width`; 4 by default. */
  readonly mlpRatio?: number;
  /** Rate of dropout on what attention and MLP add; 0 by default. */
  readonly dropout?: number;
  /** Cap on attention scores, 50 by default; 0 for none. */
  readonly attentionSoftcap?: number;
  /** A second time embedding, for the target of a flow map. */
  readonly targetTime?: boolean;
  /**
   * A learned vector for every position, added to the embedded state; none by default, as in FLM. Rotary positions say how far apart two
   * tokens are and not where they are, and noise has no words to tell it by.
   */
  readonly positions?: boolean;
  /** Numbers per token that come out: by default a logit for each of the vocabulary; the width, for points of an embedding. */
  readonly outputs?: number;
}

type Key = Tensor<[2], "u32">;

/** sinusoids -> hidden -> SiLU -> out. */
export interface TimeEmbedding {
  readonly hidden: nn.LinearParams;
  readonly out: nn.LinearParams;
}

export interface DitBlock {
  readonly norm1: nn.NormParams;
  readonly attention: nn.AttentionParams;
  readonly norm2: nn.NormParams;
  readonly mlp: nn.MlpParams;
  /** Shift, scale and gate of attention, then of the MLP. */
  readonly modulation: nn.LinearParams;
}

export interface DitParams {
  /** The input table E [vocab, width]. */
  readonly embedding: Tensor;
  /** [length, width]. */
  readonly position?: Tensor;
  readonly time: TimeEmbedding;
  readonly targetTime?: TimeEmbedding;
  readonly blocks: readonly DitBlock[];
  readonly head: {
    readonly norm: nn.NormParams;
    /** Shift and scale. */
    readonly modulation: nn.LinearParams;
    readonly linear: nn.LinearParams;
  };
}

/** What a call of the network computes on its way, for tests and inspection. */
export interface DitStages {
  /** Embedding of the source time before SiLU, [batch, conditioning]. */
  readonly time: Tensor;
  /** Embedding of the target time, where there is one. */
  readonly targetTime?: Tensor;
  /** What every block returns, [batch, length, width]. */
  readonly blocks: readonly Tensor[];
  /** What the last layer takes, [batch, length, width]. */
  readonly features: Tensor;
  /** Raw logits [batch, length, vocab]. */
  readonly logits: Tensor;
}

/** A diffusion transformer as a network, with a view of its stages. */
export interface Dit extends Network<DitParams> {
  readonly config: DitConfig;
  readonly head: LinearHead<DitParams>;
  /** As `logits`, with everything on the way to them. */
  stages(params: DitParams, hidden: Tensor, conditioning: Conditioning): DitStages;
}

/** Number of sinusoidal features of a time. */
export const TIME_FEATURES = 256;

function embedTime(params: TimeEmbedding, tau: Tensor): Tensor {
  const features: Tensor = nn.sinusoids(tau, { count: TIME_FEATURES });
  return nn.linear(params.out, silu(nn.linear(params.hidden, features)) as Tensor);
}

/**
 * A diffusion transformer.
 * @throws RangeError when the sizes do not fit together
 */
export function dit(config: DitConfig): Dit {
  const { vocab, length, width, depth, heads, conditioning } = config;
  const { mlpRatio = 4, dropout = 0, attentionSoftcap = 50, targetTime = false, outputs = vocab } = config;
  const { positions = false } = config;
  for (const [name, value] of Object.entries({ vocab, length, width, depth, heads, conditioning, outputs })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`dit: ${name} must be a whole number >= 1, got ${value}`);
  }
  if (width % (2 * heads) !== 0)
    throw new RangeError(`dit: width ${width} must be a multiple of twice the ${heads} heads`);

  function timeEmbedding(key: Key, lastInit?: nn.Initializer): TimeEmbedding {
    const [first, second] = random.split(key, 2);
    const out = {
      inputs: conditioning,
      outputs: conditioning,
      ...(lastInit === undefined ? {} : { weightInit: lastInit, biasInit: lastInit }),
    };
    return {
      hidden: nn.initLinear(first, { inputs: TIME_FEATURES, outputs: conditioning }),
      out: nn.initLinear(second, out),
    };
  }

  function block(key: Key): DitBlock {
    const [attentionKey, mlpKey] = random.split(key, 2);
    return {
      norm1: nn.initNorm(width),
      attention: nn.initAttention(attentionKey, { width }),
      norm2: nn.initNorm(width),
      mlp: nn.initMlp(mlpKey, { width, hidden: mlpRatio * width }),
      modulation: nn.initModulation({ inputs: conditioning, width, count: 6 }),
    };
  }

  function init(key: Key): DitParams {
    const [embeddingKey, timeKey, blocksKey, targetKey] = random.split(key, 4);
    const { zeros, kaimingUniform } = nn.initializers;
    return {
      // [vocab, width] read as a weight [out, in]: the bound is 1/√width.
      embedding: kaimingUniform()(embeddingKey, [vocab, width]),
      ...(positions ? { position: kaimingUniform()(random.foldIn(embeddingKey, 1), [length, width]) } : {}),
      time: timeEmbedding(timeKey),
      ...(targetTime ? { targetTime: timeEmbedding(targetKey, zeros) } : {}),
      blocks: random.split(blocksKey, depth).map(block),
      head: {
        norm: nn.initNorm(width),
        modulation: nn.initModulation({ inputs: conditioning, width, count: 2 }),
        linear: { weight: zeros(embeddingKey, [outputs, width]), bias: zeros(embeddingKey, [outputs]) },
      },
    };
  }

  function runBlock(
    params: DitBlock,
    x: Tensor,
    condition: Tensor,
    rotary: nn.RotaryTables,
    keys: readonly [Key, Key] | undefined,
  ): Tensor {
    const [shift1, scale1, gate1, shift2, scale2, gate2] = nn.modulations(params.modulation, condition, 6);
    const attended: Tensor = nn.selfAttention(
      params.attention,
      nn.modulatedNorm(params.norm1, x, shift1, scale1),
      { heads, rotary, softcap: attentionSoftcap },
    );
    const middle: Tensor = add(x, mul(gate1, nn.dropout(keys?.[0], attended, dropout) as Tensor));
    const changed: Tensor = nn.mlp(params.mlp, nn.modulatedNorm(params.norm2, middle, shift2, scale2));
    return add(middle, mul(gate2, nn.dropout(keys?.[1], changed, dropout) as Tensor));
  }

  function body(
    params: DitParams,
    hidden: Tensor,
    { tau, target, dropoutKey }: Conditioning,
  ): Omit<DitStages, "logits"> {
    if (target !== undefined && params.targetTime === undefined) {
      throw new OpError(
        "dit: a target time was given to a network of one time; make it with targetTime: true",
      );
    }
    const time = embedTime(params.time, tau);
    const later =
      target === undefined || params.targetTime === undefined
        ? {}
        : { targetTime: embedTime(params.targetTime, target) };
    const condition: Tensor = silu(
      later.targetTime === undefined ? time : (add(time, later.targetTime) as Tensor),
    );
    const rotary = nn.rotaryTables({ length, depth: width / heads });
    const keys = dropoutKey === undefined || dropout === 0 ? undefined : random.split(dropoutKey, 2 * depth);
    const blocks: Tensor[] = [];
    let x: Tensor = params.position === undefined ? hidden : add(hidden, params.position);
    params.blocks.forEach((block, i) => {
      // Two keys per block were split.
      x = runBlock(
        block,
        x,
        condition,
        rotary,
        keys?.slice(2 * i, 2 * i + 2) as readonly [Key, Key] | undefined,
      );
      blocks.push(x);
    });
    const [shift, scale] = nn.modulations(params.head.modulation, condition, 2);
    return { time, ...later, blocks, features: nn.modulatedNorm(params.head.norm, x, shift, scale) };
  }

  function stages(params: DitParams, hidden: Tensor, conditioning: Conditioning): DitStages {
    const parts = body(params, hidden, conditioning);
    return { ...parts, logits: nn.linear(params.head.linear, parts.features) };
  }

  return {
    vocab,
    length,
    config,
    init,
    embedding: (params) => params.embedding,
    logits: (params, hidden, conditioning) => stages(params, hidden, conditioning).logits,
    head: {
      features: (params, hidden, conditioning) => body(params, hidden, conditioning).features,
      layer: (params) => params.head.linear,
    },
    stages,
  };
}
