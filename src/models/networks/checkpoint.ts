/**
 * DiT weights as a checkpoint holds them, a list of named tensors, and as the network takes them, a tree. The names are the
 * authors' (official-names.ts). Reads anything that has a shape and a dtype (host tensors, tensors being traced), and names anything,
 * device values too.
 *
 * Consumed by whoever reads or writes weights. A new network needs its own list of names and may use the same two directions.
 */
import type { Tensor } from "../../dsl/index.ts";
import type { DitConfig, DitParams } from "./dit.ts";
import { OFFICIAL_PREFIX, officialParameters, ROTARY_BUFFER } from "./official-names.ts";
import type { DitSizes } from "./official-names.ts";

/** A tensor of any kind, as far as a checkpoint is concerned. */
export interface Sized {
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** A tree of tensors with leaves of another kind in their place. */
export type TreeOf<T, Leaf> = T extends Tensor ? Leaf : { readonly [K in keyof T]: TreeOf<T[K], Leaf> };

/** The parameters of a DiT with leaves of any kind. */
export type DitTree<Leaf> = TreeOf<DitParams, Leaf>;

/** Weights that are not those of the network asked for. The message names the tensors. */
export class CheckpointError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CheckpointError";
  }
}

const show = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** A few of many names. */
const some = (names: readonly string[]): string =>
  names.length <= 4 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;

/** Names as the authors' code has them before it is compiled. @throws CheckpointError when that makes two names one */
function plainNames<Leaf extends Sized>(tensors: ReadonlyMap<string, Leaf>): ReadonlyMap<string, Leaf> {
  const plain = new Map<string, Leaf>();
  for (const [name, tensor] of tensors) {
    const short = name.replaceAll("_orig_mod.", "");
    if (plain.has(short))
      throw new CheckpointError(
        `The weights hold ${short} twice, with and without "_orig_mod."; remove one of them.`,
      );
    plain.set(short, tensor);
  }
  return plain;
}

/**
 * The parameters of a DiT from tensors under the authors' names, also with `_orig_mod.` in them (left by torch.compile). The
 * buffer of rotary frequencies is ignored.
 * @throws CheckpointError naming every tensor that is missing, not known, or of another shape than the sizes say
 */
export function ditFromTensors<Leaf extends Sized>(
  sizes: DitSizes,
  tensors: ReadonlyMap<string, Leaf>,
): DitTree<Leaf> {
  const found = plainNames(tensors);
  const parameters = officialParameters(sizes);
  const known = new Set([...parameters.map(({ name }) => name), ROTARY_BUFFER]);
  const missing = parameters.filter(({ name }) => !found.has(name)).map(({ name }) => name);
  const unexpected = [...found.keys()].filter((name) => !known.has(name));
  const wrong = parameters.flatMap(({ name, shape }) => {
    const own = found.get(name)?.shape;
    return own === undefined || show(own) === show(shape)
      ? []
      : [`${name} is ${show(own)} instead of ${show(shape)}`];
  });
  const problems = [
    ...(missing.length > 0 ? [`missing: ${some(missing)}`] : []),
    ...(unexpected.length > 0 ? [`not known: ${some(unexpected)}`] : []),
    ...(wrong.length > 0 ? [`of another shape: ${some(wrong)}`] : []),
  ];
  if (problems.length > 0) {
    const { vocab, width, depth, targetTime = false } = sizes;
    const network = `vocabulary ${vocab}, width ${width}, ${depth} blocks, ${targetTime ? "two times" : "one time"}`;
    throw new CheckpointError(
      `The weights are not those of this network (${network}): ${problems.join("; ")}.`,
    );
  }
  const root: Node<Leaf> = new Map();
  for (const { name, path } of parameters) insert(root, path.split("."), found.get(name) as Leaf); // none is missing
  // The paths are those of DitParams.
  return plant(root) as DitTree<Leaf>;
}

/** A tree under construction. */
type Node<Leaf> = Map<string, Node<Leaf> | { readonly leaf: Leaf }>;

function insert<Leaf>(node: Node<Leaf>, path: readonly string[], leaf: Leaf): void {
  const [key = "", ...rest] = path;
  if (rest.length === 0) {
    node.set(key, { leaf });
    return;
  }
  const next = node.get(key) ?? new Map();
  node.set(key, next);
  if (next instanceof Map) insert(next, rest, leaf);
}

/** Maps become objects, or arrays where the keys are positions. */
function plant<Leaf>(node: Node<Leaf>): unknown {
  const entries = [...node].map(
    ([key, value]) => [key, value instanceof Map ? plant(value) : value.leaf] as const,
  );
  return entries.every(([key], i) => key === String(i))
    ? entries.map(([, value]) => value)
    : Object.fromEntries(entries);
}

/**
 * The parameters as named tensors, in the authors' order: the inverse of {@link ditFromTensors}, without the rotary buffer.
 * @throws CheckpointError when the tree lacks a parameter of a DiT of these sizes, or has learned positions, for which they have no name
 */
export function ditToTensors<Leaf>(
  sizes: DitSizes,
  params: DitTree<Leaf>,
): readonly (readonly [name: string, tensor: Leaf])[] {
  if (params.position !== undefined)
    throw new CheckpointError(
      "The network learns a vector for every position, and the authors' format has no name for them.",
    );
  return officialParameters(sizes).map(({ name, path }) => {
    let here: unknown = params;
    for (const key of path.split("."))
      here = typeof here === "object" && here !== null ? Reflect.get(here, key) : undefined;
    if (here === undefined)
      throw new CheckpointError(`The parameters have no ${path}, which a network of these sizes needs.`);
    return [name, here as Leaf] as const; // a path of DitParams ends at a leaf
  });
}

/**
 * The configuration of a DiT from the shapes of its weights.
 * @param options what the shapes do not say: the length, and the number of heads where the rotary buffer is missing
 * @throws CheckpointError when the weights are not those of a DiT, or contradict the number of heads
 */
export function ditConfigOf(
  tensors: ReadonlyMap<string, Sized>,
  { length, heads }: { readonly length: number; readonly heads?: number },
): DitConfig {
  const found = plainNames(tensors);
  const size = (name: string, axis: number): number => {
    const shape = found.get(OFFICIAL_PREFIX + name)?.shape;
    const value = shape?.[axis];
    if (value === undefined) {
      const what = shape === undefined ? "is missing" : `has the shape ${show(shape)}`;
      throw new CheckpointError(`These are not the weights of a DiT: ${OFFICIAL_PREFIX}${name} ${what}.`);
    }
    return value;
  };
  const [vocab, width] = [size("vocab_embed.embedding", 0), size("vocab_embed.embedding", 1)];
  const outputs = found.get(`${OFFICIAL_PREFIX}output_layer.linear.weight`)?.shape[0] ?? vocab;
  // As many as there are: with a gap in their numbers, the parameters of this many blocks are not all there.
  const depth = new Set(
    [...found.keys()].flatMap((name) => /^backbone\.blocks\.(\d+)\./.exec(name)?.[1] ?? []),
  ).size;
  const rotary = found.get(ROTARY_BUFFER)?.shape[0];
  const counted = rotary === undefined ? undefined : width / (2 * rotary);
  if (heads !== undefined && counted !== undefined && heads !== counted) {
    throw new CheckpointError(
      `The weights are those of ${counted} heads (${ROTARY_BUFFER} has ${rotary} frequencies, the width is ${width}), not of ${heads}.`,
    );
  }
  const chosen = heads ?? counted;
  if (chosen === undefined)
    throw new CheckpointError(
      `The weights do not tell the number of heads (there is no ${ROTARY_BUFFER}); give it.`,
    );
  return {
    vocab,
    length,
    width,
    depth,
    heads: chosen,
    conditioning: size("sigma_map.mlp.2.weight", 0),
    mlpRatio: size("blocks.0.mlp.0.weight", 0) / width,
    targetTime: found.has(`${OFFICIAL_PREFIX}sigma_map_prime.mlp.0.weight`),
    ...(outputs === vocab ? {} : { outputs }),
  };
}
