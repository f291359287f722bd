/**
 * Parameters of the DiT under the names of the authors' checkpoints (state_dict keys): name, our path in `DitParams`, shape, in
 * the authors' order.
 * Consumed by checkpoint.ts: weights are written and read under these names, so either side's weights load in the other.
 */
import { TIME_FEATURES } from "./dit.ts";
import type { DitConfig } from "./dit.ts";

/** One parameter. */
export interface OfficialParameter {
  /** The name in a checkpoint, such as `backbone.blocks.0.attn_qkv.weight`. */
  readonly name: string;
  /** The path in `DitParams`, such as `blocks.0.attention.qkv.weight`. */
  readonly path: string;
  readonly shape: readonly number[];
}

/** What decides names and shapes. */
export type DitSizes = Pick<
  DitConfig,
  "vocab" | "width" | "depth" | "conditioning" | "mlpRatio" | "targetTime" | "outputs"
>;

/** What all names begin with: the network within the authors' training module. */
export const OFFICIAL_PREFIX = "backbone.";

/** The buffer of rotary frequencies, [depth of a head / 2]: in every checkpoint of theirs, and no parameter. */
export const ROTARY_BUFFER = `${OFFICIAL_PREFIX}rotary_emb.inv_freq`;

type Row = readonly [path: string, name: string, ...shape: number[]];

/** Weight [outputs, inputs] and bias [outputs] of a linear layer. */
const linear = (path: string, name: string, outputs: number, inputs: number): readonly Row[] => [
  [`${path}.weight`, `${name}.weight`, outputs, inputs],
  [`${path}.bias`, `${name}.bias`, outputs],
];

/** All parameters of a DiT, in the order of the authors' `named_parameters()`. */
export function officialParameters(sizes: DitSizes): readonly OfficialParameter[] {
  const { vocab, width, depth, conditioning, mlpRatio = 4, targetTime = false, outputs = vocab } = sizes;
  const time = (path: string, name: string): readonly Row[] => [
    ...linear(`${path}.hidden`, `${name}.mlp.0`, conditioning, TIME_FEATURES),
    ...linear(`${path}.out`, `${name}.mlp.2`, conditioning, conditioning),
  ];
  const block = (at: string): readonly Row[] => [
    [`${at}.norm1.weight`, `${at}.norm1.weight`, width],
    [`${at}.attention.qkv.weight`, `${at}.attn_qkv.weight`, 3 * width, width],
    [`${at}.attention.out.weight`, `${at}.attn_out.weight`, width, width],
    [`${at}.norm2.weight`, `${at}.norm2.weight`, width],
    ...linear(`${at}.mlp.up`, `${at}.mlp.0`, mlpRatio * width, width),
    ...linear(`${at}.mlp.down`, `${at}.mlp.2`, width, mlpRatio * width),
    ...linear(`${at}.modulation`, `${at}.adaLN_modulation`, 6 * width, conditioning),
  ];
  const rows: readonly Row[] = [
    ["embedding", "vocab_embed.embedding", vocab, width],
    ...time("time", "sigma_map"),
    ...(targetTime ? time("targetTime", "sigma_map_prime") : []),
    ...Array.from({ length: depth }, (_, i) => block(`blocks.${i}`)).flat(),
    ["head.norm.weight", "output_layer.norm_final.weight", width],
    ...linear("head.linear", "output_layer.linear", outputs, width),
    ...linear("head.modulation", "output_layer.adaLN_modulation", 2 * width, conditioning),
  ];
  return rows.map(([path, name, ...shape]) => ({ path, name: OFFICIAL_PREFIX + name, shape }));
}
