/**
 * WebGPU's flags by their names. Browsers have them as globals and Node does not; the runtime uses these in both, so that nothing
 * is put on `globalThis`. Consumed by everything that makes buffers and layouts. The values are fixed by the standard.
 */

/** What a buffer is for. */
export const BufferUsage = {
  MAP_READ: 0x1,
  MAP_WRITE: 0x2,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  INDIRECT: 0x100,
  QUERY_RESOLVE: 0x200,
} as const;

/** What a mapped buffer is mapped for. */
export const MapMode = { READ: 0x1, WRITE: 0x2 } as const;

/** Which stage of a pipeline sees a binding. Here there are only compute pipelines. */
export const ShaderStage = { COMPUTE: 0x4 } as const;
