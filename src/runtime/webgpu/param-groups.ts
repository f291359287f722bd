/**
 * Bind groups of parameters: one for each entry of the uniform buffers, made when it is first used. One group with a dynamic offset
 * would do for all, but in Node an offset costs several times what the rest of a dispatch does.
 *
 * Consumed by executables; made when a plan is loaded, one for each size of entry.
 */
import type { ParamPlace } from "./params.ts";

export interface ParamBuffers {
  readonly device: GPUDevice;
  readonly layout: GPUBindGroupLayout;
  /** Bytes of an entry. */
  readonly bytes: number;
  readonly tables: GPUBuffer | undefined;
  readonly stream: GPUBuffer | undefined;
}

export class ParamGroups {
  readonly #buffers: ParamBuffers;
  readonly #tables = new Map<number, GPUBindGroup>();
  readonly #stream = new Map<number, GPUBindGroup>();

  constructor(buffers: ParamBuffers) {
    this.#buffers = buffers;
  }

  at({ streamed, offset }: ParamPlace): GPUBindGroup {
    const groups = streamed ? this.#stream : this.#tables;
    let group = groups.get(offset);
    if (group === undefined) {
      const { device, layout, bytes, tables, stream } = this.#buffers;
      const buffer = (streamed ? stream : tables) as GPUBuffer; // where there is an entry, there is its buffer
      group = device.createBindGroup({
        layout,
        entries: [{ binding: 0, resource: { buffer, offset, size: bytes } }],
      });
      groups.set(offset, group);
    }
    return group;
  }
}
