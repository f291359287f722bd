/**
 * The plane in which points of an embedding differ most: the two leading principal directions of its rows, by power iteration. Pure and
 * deterministic. Consumed by forming.ts.
 */

export interface Plane {
  /** The coordinates of points [rows, width]. */
  project(points: Float32Array): readonly (readonly [number, number])[];
}

/** Enough for a picture: the second direction need not be exact to be one of the plane's. */
const ITERATIONS = 60;

/** @param table rows [n, width] */
export function principalPlane(table: Float32Array, width: number): Plane {
  const rows = table.length / width;
  const mean = new Float64Array(width);
  for (let i = 0; i < table.length; i++) mean[i % width] = (mean[i % width] ?? 0) + (table[i] ?? 0) / rows;
  const first = direction(table, width, mean, []);
  const second = direction(table, width, mean, [first]);
  return {
    project: (points) =>
      Array.from({ length: points.length / width }, (_, row) => {
        const point = points.subarray(row * width, (row + 1) * width);
        const along = (axis: Float64Array): number =>
          axis.reduce((sum, a, i) => sum + a * ((point[i] ?? 0) - (mean[i] ?? 0)), 0);
        return [along(first), along(second)] as const;
      }),
  };
}

/** The leading direction of the centred rows that is orthogonal to others. */
function direction(
  table: Float32Array,
  width: number,
  mean: Float64Array,
  others: readonly Float64Array[],
): Float64Array {
  // Not along an axis, where a table may have nothing.
  let axis = normalized(
    Float64Array.from({ length: width }, (_, i) => Math.sin(1 + i * 2.4)),
    others,
  );
  for (let n = 0; n < ITERATIONS; n++) {
    const next = new Float64Array(width);
    for (let at = 0; at < table.length; at += width) {
      let along = 0;
      for (let i = 0; i < width; i++) along += ((table[at + i] ?? 0) - (mean[i] ?? 0)) * (axis[i] ?? 0);
      for (let i = 0; i < width; i++)
        next[i] = (next[i] ?? 0) + along * ((table[at + i] ?? 0) - (mean[i] ?? 0));
    }
    axis = normalized(next, others);
  }
  return axis;
}

/** Of unit length, and orthogonal to others; an axis of its own where nothing is left. */
function normalized(vector: Float64Array, others: readonly Float64Array[]): Float64Array {
  const rest = Float64Array.from(vector);
  for (const other of others) {
    const along = rest.reduce((sum, x, i) => sum + x * (other[i] ?? 0), 0);
    for (let i = 0; i < rest.length; i++) rest[i] = (rest[i] ?? 0) - along * (other[i] ?? 0);
  }
  const size = Math.hypot(...rest);
  return size > 1e-30 ? rest.map((x) => x / size) : rest.map((_, i) => (i === others.length ? 1 : 0));
}
