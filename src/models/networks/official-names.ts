/**
 * Parameter names of the authors' checkpoints (state_dict keys) for the DiT's parameters, by path in `DitParams`.
 * Consumed by checkpoint files: they are written and read under these names, so either side's weights load in the other.
 */

const LINEAR = ["weight", "bias"] as const;

function timeNames(path: string, official: string): readonly (readonly [string, string])[] {
  return LINEAR.flatMap((part) => [
    [`${path}.hidden.${part}`, `${official}.mlp.0.${part}`] as const,
    [`${path}.out.${part}`, `${official}.mlp.2.${part}`] as const,
  ]);
}

/** Pairs [our path, official name] for a DiT of the given depth. */
export function officialNames({ depth, targetTime }: { readonly depth: number; readonly targetTime: boolean }): readonly (readonly [path: string, official: string])[] {
  const prefix = "backbone.";
  const pairs: (readonly [string, string])[] = [
    ["embedding", "vocab_embed.embedding"],
    ...timeNames("time", "sigma_map"),
    ...(targetTime ? timeNames("targetTime", "sigma_map_prime") : []),
    ["head.norm.weight", "output_layer.norm_final.weight"],
    ...LINEAR.map((part) => [`head.linear.${part}`, `output_layer.linear.${part}`] as const),
    ...LINEAR.map((part) => [`head.modulation.${part}`, `output_layer.adaLN_modulation.${part}`] as const),
  ];
  for (let i = 0; i < depth; i++) {
    const [ours, theirs] = [`blocks.${i}`, `blocks.${i}`];
    pairs.push([`${ours}.norm1.weight`, `${theirs}.norm1.weight`]);
    pairs.push([`${ours}.attention.qkv.weight`, `${theirs}.attn_qkv.weight`]);
    pairs.push([`${ours}.attention.out.weight`, `${theirs}.attn_out.weight`]);
    pairs.push([`${ours}.norm2.weight`, `${theirs}.norm2.weight`]);
    for (const part of LINEAR) {
      pairs.push([`${ours}.mlp.up.${part}`, `${theirs}.mlp.0.${part}`]);
      pairs.push([`${ours}.mlp.down.${part}`, `${theirs}.mlp.2.${part}`]);
      pairs.push([`${ours}.modulation.${part}`, `${theirs}.adaLN_modulation.${part}`]);
    }
  }
  return pairs.map(([path, official]) => [path, prefix + official]);
}
