/**
 * Bounds of IEEE 754 binary32 (f32). Targets need not support infinities, so programs take its largest number where mathematics has one.
 *
 * Consumed by the language, by kernels and by their printer.
 */

/** The largest finite f32, about 3.4e38. */
export const LARGEST_F32 = (2 - 2 ** -23) * 2 ** 127;
