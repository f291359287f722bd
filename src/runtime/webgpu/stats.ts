/** The account that the WebGPU device gives of its memory. Consumed by the device, and by what shows it. */

/** GPU memory that the device holds, in bytes. */
export interface MemoryStats {
  /** Of tensors that someone holds. */
  readonly values: number;
  /** Of executables: temporaries, constants and parameters. */
  readonly plans: number;
  /** Of buffers that are kept to be used again, and of those for reading. */
  readonly pooled: number;
  /** All together, and the most that it ever was. */
  readonly total: number;
  readonly peak: number;
}
