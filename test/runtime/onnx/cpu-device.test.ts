import { afterAll, describe, expect, it, vi } from "vitest";
import { toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import type { DeviceValue } from "../../../src/runtime/device.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { openCpu } from "../../../src/runtime/onnx/cpu-device.ts";
import { StoragePool } from "../../../src/runtime/onnx/storage.ts";
import { step, testContract } from "../../support/device-contract.ts";
import { difference, program, tensor } from "../../support/programs.ts";

const device = await openCpu({ threads: 1 });
afterAll(() => device.dispose());
const none = {};

const read = async (value: DeviceValue): Promise<number[]> => toNumbers(await value.read());

testContract(device, () => openCpu({ threads: 1 }));
testContract(openInterpreter(), async () => openInterpreter());

describe("the cpu device", () => {
  it("uses no more memory with each donating step", async () => {
    const own = await openCpu({ threads: 1 });
    const executable = await own.compile(step, { donate: [0, 1] });
    const [gradient, w, m] = [1, 2, 3].map((x) => own.upload(tensor("f32[4]", x))) as [
      DeviceValue,
      DeviceValue,
      DeviceValue,
    ];
    let state: readonly DeviceValue[] = [w, m];
    const usages: unknown[] = [];
    for (let i = 0; i < 5; i++) {
      const [weights, momentum, sum] = (await executable.run([...state, gradient])) as [
        DeviceValue,
        DeviceValue,
        DeviceValue,
      ];
      sum.dispose();
      state = [weights, momentum];
      usages.push(own.pool.usage);
    }
    expect(usages).toEqual(usages.map(() => ({ used: 48, idle: 36 })));
    await own.dispose();
  });

  it("gives donated values back when a run fails", async () => {
    // A running sum over more entries than a process has addresses for.
    const huge = program(["f32[4]"], (w, x) => {
      const spread = w.one("broadcast", [x], { shape: [4, 2 ** 45], dims: [0] });
      return [w.one("reduceSum", [w.one("cumsum", [spread], { axis: 1, reverse: false })], { axes: [1] })];
    });
    const executable = await device.compile(huge, { donate: [0] });
    const value = device.upload(tensor("f32[4]", 3));
    await expect(executable.run([value])).rejects.toThrow("cpu: the program failed to run");
    expect(await read(value)).toEqual([3, 3, 3, 3]);
    // Also when there is no memory for its result.
    const spread = program(["f32[4]"], (w, x) => [
      w.one("broadcast", [x], { shape: [4, 2 ** 45], dims: [0] }),
    ]);
    const before = device.pool.usage.used;
    await expect((await device.compile(spread, { donate: [0] })).run([value])).rejects.toThrow(
      "cpu: the program failed to run: ",
    );
    expect(await read(value)).toEqual([3, 3, 3, 3]);
    expect(device.pool.usage.used).toBe(before);
    // What its owner disposed of meanwhile is not given back.
    const { used } = device.pool.usage;
    const failing = executable.run([value]);
    value.dispose();
    await expect(failing).rejects.toThrow("cpu: the program failed to run");
    expect(value.disposed).toBe(true);
    expect(device.pool.usage.used).toBe(used - 16);
  });

  it("names the equation that the engine refuses", async () => {
    const legal = program(["bool[2]", "bool[2]"], (w, a, b) => [w.one("and", [a, b], none)]);
    const wrong: Program = {
      ...legal,
      equations: [{ op: "add", inputs: [0, 1], outputs: [2], params: none }],
    };
    await expect(device.compile(wrong, { name: "bad" })).rejects.toThrow(
      /cpu: ONNX Runtime refused bad: .*add %2/,
    );
  });

  it("says what it is, and refuses half a thread", async () => {
    expect(device.describe()).toMatch(/^ONNX Runtime \d+\.\d+\.\d+, 1 thread \(\d+ × /);
    await expect(openCpu({ threads: 0.5 })).rejects.toThrow(UserError);
  });

  it("takes the number of threads from the environment where none is given", async () => {
    const describeWith = async (text: string): Promise<string> => {
      vi.stubEnv("FLUXION_THREADS", text);
      const opened = await openCpu();
      await opened.dispose();
      return opened.describe();
    };
    try {
      expect(await describeWith("3")).toContain(", 3 threads (");
      expect(await describeWith("")).toContain(", a thread per core (");
      await expect(describeWith("none")).rejects.toThrow(
        'FLUXION_THREADS is "none": give a whole number of at least 1.',
      );
      await expect(describeWith("0")).rejects.toThrow(UserError);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it("computes the same with one thread, two and three", async () => {
    // Sizes that are cut into unequal parts: a product, a sum and what is elementwise.
    const large = program(["f32[131,257]", "f32[257,67]"], (w, a, b) => {
      const product = w.one("dot", [a, b], {
        lhsBatch: [],
        rhsBatch: [],
        lhsContract: [1],
        rhsContract: [0],
      });
      return [product, w.one("reduceSum", [w.one("exp", [product], none)], { axes: [1] })];
    });
    const wave = (size: number): number[] => Array.from({ length: size }, (_, i) => Math.sin(i) / 16);
    const results: HostTensor[][] = [];
    const inputs = [tensor("f32[131,257]", wave(131 * 257)), tensor("f32[257,67]", wave(257 * 67))];
    for (const threads of [1, 2, 3]) {
      const own = await openCpu({ threads });
      const outputs = await (await own.compile(large)).run(inputs.map((input) => own.upload(input)));
      results.push(await Promise.all(outputs.map((output) => output.read())));
      await own.dispose();
    }
    const [one = [], ...others] = results;
    for (const other of others) expect(difference(other, one, 1e-5)).toBeUndefined();
    expect(difference(interpret(large, inputs), one, 1e-4)).toBeUndefined();
  });
});

describe("the storage pool", () => {
  it("hands a released buffer out again, and a shared one only after its last user", () => {
    const pool = new StoragePool();
    const first = pool.take(64);
    const { buffer } = first;
    first.share();
    first.release();
    expect(pool.take(64).buffer).not.toBe(buffer);
    first.release();
    expect(pool.take(64).buffer).toBe(buffer);
  });

  it("alternates between two buffers when each step donates", () => {
    const pool = new StoragePool();
    const seen = new Set<ArrayBuffer>();
    let state = pool.take(8);
    for (let i = 0; i < 10; i++) {
      const next = pool.take(8);
      state.release();
      state = next;
      seen.add(state.buffer);
    }
    expect(seen.size).toBe(2);
    expect(pool.usage).toEqual({ used: 8, idle: 8 });
  });

  it("keeps no more than was ever in use", () => {
    const pool = new StoragePool();
    for (let size = 1; size <= 100; size++) pool.take(size).release();
    expect(pool.usage.idle).toBeLessThanOrEqual(100);
    pool.clear();
    expect(pool.usage).toEqual({ used: 0, idle: 0 });
  });
});
