/**
 * The DiT of FLM once more, in plain loops over named weights: an independent check of src/models/networks for any size.
 * Reads the weights under the authors' names, so it also checks the naming.
 */

/** Row-major values of a weight by its official name without the prefix. */
export type Weights = (name: string) => readonly number[];

export interface PlainSizes {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
}

type Vector = readonly number[];
const zip = (a: Vector, b: Vector, f: (x: number, y: number) => number): number[] =>
  a.map((x, i) => f(x, b[i] ?? NaN));
const plus = (a: Vector, b: Vector): number[] => zip(a, b, (x, y) => x + y);
const dot = (a: Vector, b: Vector): number => zip(a, b, (x, y) => x * y).reduce((s, x) => s + x, 0);
const silu = (x: number): number => x / (1 + Math.exp(-x));
const gelu = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** W x + b with W [outputs, inputs]. */
function linear(weights: Weights, name: string, x: Vector, bias = true): number[] {
  const w = weights(`${name}.weight`);
  const product = Array.from({ length: w.length / x.length }, (_, row) =>
    dot(w.slice(row * x.length, (row + 1) * x.length), x),
  );
  return bias ? plus(product, weights(`${name}.bias`)) : product;
}

function norm(weights: Weights, name: string, x: Vector): number[] {
  const mean = x.reduce((s, y) => s + y, 0) / x.length;
  const variance = x.reduce((s, y) => s + (y - mean) ** 2, 0) / x.length;
  return zip(x, weights(`${name}.weight`), (y, w) => ((y - mean) / Math.sqrt(variance + 1e-5)) * w);
}

function embedTime(weights: Weights, name: string, tau: number): number[] {
  const angles = Array.from({ length: 128 }, (_, k) => tau * 10_000 ** (-k / 128));
  const features = [...angles.map(Math.cos), ...angles.map(Math.sin)];
  return linear(weights, `${name}.mlp.2`, linear(weights, `${name}.mlp.0`, features).map(silu));
}

const modulate = (x: Vector, shift: Vector, scale: Vector): number[] =>
  plus(
    zip(x, scale, (y, s) => y * (1 + s)),
    shift,
  );

/** Turns the pair (i, i + depth/2) of a head at a position. */
function rotate(x: Vector, position: number): number[] {
  const half = x.length / 2;
  return x.map((value, i) => {
    const angle = position * 10_000 ** (-(i % half) / half);
    const other = x[(i + half) % x.length] ?? NaN;
    return i < half
      ? value * Math.cos(angle) - other * Math.sin(angle)
      : value * Math.cos(angle) + other * Math.sin(angle);
  });
}

function attention(rows: readonly Vector[], { width, heads }: PlainSizes): number[][] {
  const depth = width / heads;
  const part = (row: Vector, which: number, head: number): Vector =>
    row.slice(which * width + head * depth, which * width + (head + 1) * depth);
  return rows.map((query, i) =>
    Array.from({ length: heads }, (_, head) => {
      const q = rotate(part(query, 0, head), i);
      const scores = rows.map(
        (key, j) => 50 * Math.tanh(dot(q, rotate(part(key, 1, head), j)) / Math.sqrt(depth) / 50),
      );
      const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
      const total = weights.reduce((s, w) => s + w, 0);
      return rows.reduce<number[]>(
        (mixed, row, j) => zip(mixed, part(row, 2, head), (m, v) => m + ((weights[j] ?? NaN) / total) * v),
        Array(depth).fill(0),
      );
    }).flat(),
  );
}

/** Raw logits [length][vocab] of one sequence of states [length][vocab]. */
export function plainLogits(
  weights: Weights,
  sizes: PlainSizes,
  state: readonly Vector[],
  tau: number,
  target?: number,
): number[][] {
  const { width, depth } = sizes;
  const table = weights("vocab_embed.embedding");
  let rows: number[][] = state.map((x) =>
    Array.from({ length: width }, (_, d) => x.reduce((s, y, v) => s + y * (table[v * width + d] ?? NaN), 0)),
  );
  const source = embedTime(weights, "sigma_map", tau);
  const condition = (
    target === undefined ? source : plus(source, embedTime(weights, "sigma_map_prime", target))
  ).map(silu);
  const chunk = (name: string, i: number): number[] =>
    linear(weights, name, condition).slice(i * width, (i + 1) * width);
  for (let b = 0; b < depth; b++) {
    const at = `blocks.${b}`;
    const modulation = (i: number): number[] => chunk(`${at}.adaLN_modulation`, i);
    const [shift1, scale1, gate1] = [modulation(0), modulation(1), modulation(2)];
    const [shift2, scale2, gate2] = [modulation(3), modulation(4), modulation(5)];
    const projected = rows.map((row) =>
      linear(weights, `${at}.attn_qkv`, modulate(norm(weights, `${at}.norm1`, row), shift1, scale1), false),
    );
    const attended = attention(projected, sizes).map((row) => linear(weights, `${at}.attn_out`, row, false));
    rows = rows.map((row, i) =>
      plus(
        row,
        zip(attended[i] ?? [], gate1, (x, g) => x * g),
      ),
    );
    rows = rows.map((row) => {
      const hidden = linear(
        weights,
        `${at}.mlp.0`,
        modulate(norm(weights, `${at}.norm2`, row), shift2, scale2),
      ).map(gelu);
      return plus(
        row,
        zip(linear(weights, `${at}.mlp.2`, hidden), gate2, (x, g) => x * g),
      );
    });
  }
  const [shift, scale] = [
    chunk("output_layer.adaLN_modulation", 0),
    chunk("output_layer.adaLN_modulation", 1),
  ];
  return rows.map((row) =>
    linear(
      weights,
      "output_layer.linear",
      modulate(norm(weights, "output_layer.norm_final", row), shift, scale),
    ),
  );
}
