/** The parts of the WebGPU runtime that need no GPU. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { hostTensor } from "../../../src/compiler/host-tensor.ts";
import type { Step } from "../../../src/compiler/kernel/plan.ts";
import { storageBytes } from "../../../src/compiler/wgsl/storage.ts";
import { sizeOf } from "../../../src/dsl/program/program.ts";
import { Bindings } from "../../../src/runtime/webgpu/bindings.ts";
import { flatten } from "../../../src/runtime/webgpu/code.ts";
import { DeviceLostError } from "../../../src/runtime/webgpu/errors.ts";
import { Failures } from "../../../src/runtime/webgpu/failures.ts";
import { gridOf } from "../../../src/runtime/webgpu/grid.ts";
import { blockBytes, BlockPool, failWith, Memory } from "../../../src/runtime/webgpu/memory.ts";
import type { Block } from "../../../src/runtime/webgpu/memory.ts";
import { Params, STREAM_ENTRIES } from "../../../src/runtime/webgpu/params.ts";
import { fromWords, toWords } from "../../../src/runtime/webgpu/words.ts";
import { HASH, INCREMENT, PlanBuilder } from "./plans.ts";

/** A GPU that makes buffers and bind groups which are nothing. */
const nothing = {
  createBuffer: () => ({ destroy: () => undefined }),
  createBindGroup: () => ({}),
} as unknown as GPUDevice; // what the parts under test use of it

const blocks = (count: number): readonly Block[] =>
  Array.from({ length: count }, () => ({ buffer: {} as GPUBuffer, bytes: 256 }));

describe("bind groups", () => {
  const bound = [
    { id: 0, offset: 0, bytes: 16, varies: true },
    { id: 1, offset: 0, bytes: 16, varies: false },
    { id: 2, offset: 0, bytes: 16, varies: true },
  ];
  const make = (): Bindings => new Bindings(nothing, {} as GPUBindGroupLayout, bound);

  it("are kept for the blocks that change, a few of them, the latest", () => {
    const bindings = make();
    const [fixed, ...all] = blocks(21);
    const group = (i: number, j: number): GPUBindGroup => bindings.group([all[i], fixed, all[j]]);
    const [ab, ba] = [group(0, 1), group(1, 0)];
    expect(ab).not.toBe(ba);
    for (let turn = 0; turn < 10; turn++) expect([group(0, 1), group(1, 0)]).toEqual([ab, ba]);
    expect(group(0, 1)).toBe(ab);
    expect(bindings.size).toBe(2);
    for (let i = 2; i < 20; i++) {
      group(i, 0);
      group(0, 1); // in use all the time, so it stays
    }
    expect(bindings.size).toBeLessThan(10);
    expect(group(0, 1)).toBe(ab);
    expect(group(1, 0)).not.toBe(ba);
  });

  it("are kept for each place of the parameters", () => {
    const buffer = {} as GPUBuffer;
    const params = { bytes: 16, tables: buffer, stream: buffer };
    const bindings = new Bindings(nothing, {} as GPUBindGroupLayout, bound, params);
    const [fixed, a, b] = blocks(3);
    const at = (streamed: boolean, offset: number, first = a): GPUBindGroup =>
      bindings.group([first, fixed, b], { streamed, offset });
    const all = (): readonly GPUBindGroup[] => [
      at(false, 0),
      at(false, 256),
      at(true, 0),
      at(true, 256),
      at(false, 0, b),
    ];
    const groups = all();
    expect(new Set(groups).size).toBe(5);
    for (let turn = 0; turn < 3; turn++) all().forEach((group, i) => expect(group).toBe(groups[i]));
    expect(bindings.size).toBe(2);
  });

  it("are kept for fewer choices of blocks where there are many places", () => {
    const params = { bytes: 16, tables: {} as GPUBuffer, stream: undefined };
    const bindings = new Bindings(nothing, {} as GPUBindGroupLayout, bound, params);
    const [fixed, ...all] = blocks(9);
    const run = (choice: number): readonly GPUBindGroup[] =>
      Array.from({ length: 600 }, (_, i) =>
        bindings.group([all[choice], fixed, all[0]], { streamed: false, offset: 256 * i }),
      );
    for (let choice = 0; choice < 8; choice++) run(choice);
    expect(bindings.size).toBe(3);
    const last = run(7);
    expect(run(7).every((group, i) => group === last[i])).toBe(true);
  });

  it("are no more for a loop of thousands of iterations, of which the first keep theirs", () => {
    const params = { bytes: 16, tables: {} as GPUBuffer, stream: undefined };
    const bindings = new Bindings(nothing, {} as GPUBindGroupLayout, bound, params);
    const [fixed, a, b] = blocks(3);
    // Loops that exchange buffers alternate between two choices.
    const run = (): readonly GPUBindGroup[] =>
      Array.from({ length: 4000 }, (_, i) =>
        bindings.group(i % 2 === 0 ? [a, fixed, b] : [b, fixed, a], { streamed: false, offset: 256 * i }),
      );
    const [first, second] = [run(), run()];
    expect(bindings.groups).toBe(2048);
    expect(new Set(first).size).toBe(4000); // no group serves two iterations
    expect(second.filter((group, i) => group === first[i]).length).toBe(2048);
    bindings.forget(a as Block);
    expect(bindings.groups).toBe(0);
  });

  it("are dropped with their blocks", () => {
    const bindings = make();
    const [fixed, a, b, c] = blocks(4) as [Block, Block, Block, Block];
    const [ab, cb] = [bindings.group([a, fixed, b]), bindings.group([c, fixed, b])];
    bindings.forget(a);
    expect(bindings.size).toBe(1);
    expect(bindings.group([c, fixed, b])).toBe(cb);
    expect(bindings.group([a, fixed, b])).not.toBe(ab);
    bindings.forget(b);
    expect(bindings.size).toBe(0);
  });
});

describe("blocks", () => {
  it("are of few sizes, and little larger than what they are for", () => {
    const sizes = new Set<number>();
    for (let bytes = 4; bytes < 1e6; bytes += 60) {
      const size = blockBytes(bytes, 2 ** 30);
      expect(size % 256).toBe(0);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size).toBeLessThanOrEqual(bytes > 4096 ? bytes * (1 + 1 / 16) : bytes + 255);
      sizes.add(size);
    }
    expect(sizes.size).toBeLessThan(160);
    expect(blockBytes(2 ** 30 - 4, 2 ** 30)).toBe(2 ** 30);
    expect(blockBytes(1000, 1004)).toBe(1004);
  });

  it("are reused, the preferred one first, and destroyed beyond the most that was in use", () => {
    const memory = new Memory(nothing);
    const pool = new BlockPool(memory, 2 ** 30);
    const [a, b] = [pool.take(1000), pool.take(1000)];
    const { block } = a;
    a.release();
    b.release();
    expect(pool.take(1000, [block]).block).toBe(block);
    expect(pool.usage).toEqual({ used: 1024, idle: 1024 });
    const destroyed: Block[] = [];
    const stop = memory.watch((gone) => destroyed.push(gone));
    const large = pool.take(2000); // 3072 in use at once, so the idle one has to go
    expect(destroyed).toEqual([b.block]);
    expect([memory.bytes, memory.peak]).toEqual([3072, 3072]);
    large.share().release();
    expect(pool.usage).toEqual({ used: 3072, idle: 0 });
    large.release();
    pool.clear();
    stop();
    expect(destroyed).toEqual([b.block, large.block]);
    expect(memory.bytes).toBe(1024);
  });

  it("are not used again after a failure", async () => {
    const memory = new Memory(nothing);
    const pool = new BlockPool(memory, 2 ** 30);
    const [a, b] = [pool.take(10), pool.take(10)];
    b.release();
    await failWith(Promise.resolve(undefined), [a, b]);
    expect(pool.usage).toEqual({ used: 256, idle: 256 });
    await failWith(Promise.resolve(new Error("out of memory")), [a, b]);
    expect(() => a.check()).toThrow("out of memory");
    a.release();
    expect([pool.usage, memory.bytes]).toEqual([{ used: 0, idle: 0 }, 0]);
  });
});

describe("waits", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** A GPU that is lost when it is told to be, and answers nothing. */
  const losable = () => {
    let lose = (_info: GPUDeviceLostInfo): void => undefined;
    const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
      lose = resolve;
    });
    const device = { lost, addEventListener: () => undefined } as unknown as GPUDevice; // what waits use of it
    return { failures: new Failures(device, () => undefined), lose };
  };
  const never = new Promise<never>(() => undefined);

  it("end with the device, and none begins after it", async () => {
    const { failures, lose } = losable();
    const waiting = failures.until(never);
    lose({ reason: "unknown", message: "The driver was updated." } as GPUDeviceLostInfo);
    await expect(waiting).rejects.toThrow(DeviceLostError);
    await expect(failures.until(never)).rejects.toThrow(
      "The webgpu device was lost (The driver was updated)",
    );
    expect(() => failures.check()).toThrow(DeviceLostError);
  });

  it("end when the device is closed, and give what they waited for before", async () => {
    const { failures } = losable();
    expect(await failures.until(Promise.resolve(7))).toBe(7);
    const waiting = failures.until(never);
    failures.close();
    await expect(waiting).rejects.toThrow("The webgpu device was closed");
    await expect(failures.until(never)).rejects.toThrow("The webgpu device was closed");
  });

  const refused = () => Promise.reject(new DOMException("Buffer was unmapped.", "AbortError"));
  /** The error that a promise was rejected with. */
  const errorOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => undefined,
      (error: unknown) => error,
    );

  it("that a lost device breaks off end with its loss, which is told later", async () => {
    vi.useFakeTimers();
    const { failures, lose } = losable();
    const waiting = errorOf(failures.until(refused()));
    await vi.advanceTimersByTimeAsync(100);
    lose({ reason: "destroyed", message: "Device was destroyed." } as GPUDeviceLostInfo);
    expect(await waiting).toBeInstanceOf(DeviceLostError);
    expect(vi.getTimerCount()).toBe(0);
    expect(await errorOf(failures.until(refused()))).toBeInstanceOf(DeviceLostError);
  });

  it("that are refused without a loss end with the refusal, and with the device's end", async () => {
    vi.useFakeTimers();
    const { failures } = losable();
    const waiting = errorOf(failures.until(refused()));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await waiting).toMatchObject({ name: "AbortError" });
    const another = errorOf(failures.until(refused()));
    await vi.advanceTimersByTimeAsync(1);
    failures.close();
    expect(await another).toMatchObject({ message: expect.stringContaining("The webgpu device was closed") });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("words", () => {
  const tensors = [
    hostTensor("f32", [2], [1.5, -0]),
    hostTensor("f16", [3], [1.5, -65504, 6e-8]),
    hostTensor("i32", [2], [-1, 7]),
    hostTensor("u32", [2], [2 ** 32 - 1, 7]),
    hostTensor("bool", [3], [1, 0, 1]),
  ];

  it.each([true, false])("hold every dtype, with half precision on the GPU: %s", (f16) => {
    for (const tensor of tensors) {
      const words = toWords(tensor, f16);
      expect(words.byteLength).toBe(
        Math.ceil((sizeOf(tensor.shape) * storageBytes(tensor.dtype, { f16 })) / 4) * 4,
      );
      expect(
        fromWords(tensor, words.buffer.slice(words.byteOffset, words.byteOffset + words.byteLength), f16),
      ).toEqual(tensor);
    }
  });
});

describe("grids", () => {
  it("have all workgroups, few too many, within what one dimension allows", () => {
    for (const workgroups of [1, 7, 65535, 65536, 65537, 131071, 1e6, 65535 ** 2]) {
      const { x, y } = gridOf(workgroups, 65535);
      expect(x * y).toBeGreaterThanOrEqual(workgroups);
      expect(x * y - workgroups).toBeLessThan(y);
      expect(Math.max(x, y)).toBeLessThanOrEqual(65535);
      if (workgroups <= 65535) expect(y).toBe(1);
    }
    expect(() => gridOf(65535 ** 2 + 1, 65535)).toThrow(RangeError);
  });
});

describe("parameters", () => {
  const b = new PlanBuilder();
  const [x, y] = [b.input([1], "u32"), b.output([1], "u32")];
  const hash = (p: number | { loop: number }, q: number | { loop: number }) => b.map(HASH, [x, y], [p, q]);
  const loop = (length: number, ...steps: readonly Step[]): Step => ({ kind: "loop", length, steps });
  const make = (...steps: readonly Step[]): Params =>
    new Params(flatten(b.plan([y], ...steps)).dispatches, 256);

  it("of one kind are written once, and only for the loops that they depend on", () => {
    const params = make(
      hash(1, 2),
      hash(1, 2),
      loop(5, hash(1, 2), hash({ loop: 0 }, 3), loop(1000, hash(3, { loop: 1 }), hash({ loop: 0 }, 3))),
    );
    // (1, 2), five of (i, 3), and a thousand of (3, j), for any i.
    expect(params.tableBytes / 256).toBe(1 + 5 + 1000);
    expect(params.streamBytes).toBe(0);
    const words = params.tables();
    const at = (dispatch: number, ...iterations: number[]): readonly number[] => {
      const place = params.place(dispatch, iterations);
      expect(place?.streamed).toBe(false);
      const start = (place?.offset ?? 0) / 4;
      return [...words.subarray(start, start + 3)];
    };
    expect([at(0, 0, 0), at(1, 0, 0), at(2, 4, 0)]).toEqual([[1, 1, 2], [1, 1, 2], [1, 1, 2]]); // prettier-ignore
    expect([at(3, 0, 0), at(3, 4, 9)]).toEqual([[1, 0, 3], [1, 4, 3]]); // prettier-ignore
    expect([at(4, 2, 0), at(4, 3, 999), at(5, 4, 6)]).toEqual([[1, 3, 0], [1, 3, 999], [1, 4, 3]]); // prettier-ignore
  });

  it("of long loops are written as they are needed, once for all that need the same", () => {
    const params = make(
      loop(100, loop(1000, hash({ loop: 0 }, { loop: 1 }), hash({ loop: 0 }, { loop: 1 }))),
    );
    expect([params.tableBytes, params.streamBytes]).toEqual([0, 256 * STREAM_ENTRIES]);
    const [first, same, next] = [
      params.place(0, [7, 8]),
      params.place(1, [7, 8]),
      params.place(0, [99, 999]),
    ];
    expect([first, same, next].map((place) => place?.offset)).toEqual([0, 0, 256]);
    expect([...params.take().subarray(0, 68)].filter((word) => word > 0)).toEqual([1, 7, 8, 1, 99, 999]);
    // What was sent before the last submit may be overwritten.
    expect(params.place(0, [99, 999])?.offset).toBe(0);
    for (let i = 1; i < STREAM_ENTRIES; i++) {
      expect(params.full).toBe(false);
      params.place(0, [50, i % 1000]);
    }
    expect(params.full).toBe(true);
    expect(params.take().length).toBe(64 * STREAM_ENTRIES);
    expect(params.full).toBe(false);
  });

  it("are none where a kernel has none", () => {
    const bare = { ...INCREMENT, params: 0 };
    const params = make({ ...b.map(HASH, [x, y], [1, 2]), kernel: bare, params: [] });
    expect([params.place(0, []), params.tableBytes, params.full]).toEqual([undefined, 0, false]);
  });
});
