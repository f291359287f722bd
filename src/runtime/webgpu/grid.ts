/**
 * Workgroups in two dimensions: a GPU allows only so many in one. Kernels number them row by row and leave out what is too many.
 * Consumed by executables.
 */

export interface Grid {
  readonly x: number;
  readonly y: number;
}

/**
 * The smallest grid of at least `workgroups`, as few rows as possible.
 * @param most workgroups in one dimension
 * @throws RangeError when no grid is large enough
 */
export function gridOf(workgroups: number, most: number): Grid {
  const rows = Math.ceil(workgroups / most);
  if (rows > most)
    throw new RangeError(`${workgroups} workgroups are more than the GPU's ${most} times ${most}.`);
  return { x: Math.ceil(workgroups / Math.max(1, rows)), y: rows };
}
