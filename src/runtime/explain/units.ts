/** Numbers with units, for people. Pure. Consumed by `inspect`, `explain`, `tune` and the studio. */

/** Three digits and a decimal prefix, ready for a unit: "1.23 M", "12 ". */
export function engineering(value: number): string {
  const units = ["", "k", "M", "G", "T"];
  let [scaled, unit] = [value, 0];
  // What rounds to 1000 belongs to the next prefix.
  while (Number(scaled.toPrecision(3)) >= 1000 && unit < units.length - 1)
    [scaled, unit] = [scaled / 1000, unit + 1];
  return `${unit === 0 || scaled >= 100 ? scaled.toFixed(0) : scaled.toPrecision(3)} ${units[unit]}`;
}

export const bytesText = (bytes: number): string => `${engineering(bytes)}B`;
export const flopsText = (flops: number): string => `${engineering(flops)}FLOP`;

/** A time from nanoseconds. */
export function timeText(nanoseconds: number): string {
  const units = ["ns", "µs", "ms", "s"];
  let [scaled, unit] = [nanoseconds, 0];
  while (Number(scaled.toPrecision(3)) >= 1000 && unit < units.length - 1)
    [scaled, unit] = [scaled / 1000, unit + 1];
  return `${unit === 0 || scaled >= 100 ? scaled.toFixed(0) : scaled.toPrecision(3)} ${units[unit]}`;
}

export const countText = (count: number): string => count.toLocaleString("en-US");

/** "1 kernel", "1,200 kernels" */
export const plural = (count: number, noun: string, nouns = `${noun}s`): string =>
  `${countText(count)} ${count === 1 ? noun : nouns}`;

export const percentText = (share: number): string =>
  Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "n/a";
