/**
 * What every device promises: donation, values that live as long as their owner wants, runs that repeat bit for bit, and what is said
 * about wrong inputs.
 *
 * Consumed by the tests of each device, those in a browser included, so nothing of Node is imported here. A new device is tested by a
 * call of {@link testContract}.
 */
import { describe, expect, it } from "vitest";
import { hostTensor, toNumbers } from "../../src/compiler/host-tensor.ts";
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";
import { program, tensor } from "./programs.ts";

const none = {};

/**
 * (weights, momentum, gradient) -> (weights − momentum', momentum' = momentum/2 + gradient, sum of weights).
 */
export const step = program(["f32[4]", "f32[4]", "f32[4]"], (w, weights, momentum, gradient) => {
  const half = w.one("constant", [], { shape: [4], dtype: "f32", values: 0.5 });
  const next = w.one("add", [w.one("mul", [momentum, half], none), gradient], none);
  return [w.one("sub", [weights, next], none), next, w.one("reduceSum", [weights], { axes: [0] })];
});

const read = async (value: DeviceValue): Promise<number[]> => toNumbers(await value.read());

/** Declares the tests. @param open opens a device like the target */
export function testContract(target: Device, open: () => Promise<Device>): void {
  describe(`the contract of a device: ${target.name}`, () => {
    it("carries donated state through steps", async () => {
      const executable = await target.compile(step, { donate: [0, 1] });
      const gradient = target.upload(tensor("f32[4]", [1, 2, 3, 4]));
      let [weights, momentum] = [target.upload(tensor("f32[4]", 10)), target.upload(tensor("f32[4]", 0))];
      const sums: number[] = [];
      for (let i = 0; i < 4; i++) {
        const before = [weights, momentum];
        const [w, m, sum] = (await executable.run([weights, momentum, gradient])) as [
          DeviceValue,
          DeviceValue,
          DeviceValue,
        ];
        expect(before.map((value) => value.disposed)).toEqual([true, true]);
        [weights, momentum] = [w, m];
        sums.push(...(await read(sum)));
        sum.dispose();
      }
      // Momentum after i steps is g·(2 − 2^{1−i}): 1, 1.5, 1.75, 1.875 times the gradient.
      expect(await read(momentum)).toEqual([1.875, 3.75, 5.625, 7.5]);
      expect(await read(weights)).toEqual([3.875, -2.25, -8.375, -14.5]);
      expect(sums).toEqual([40, 30, 15, -2.5]);
      expect(gradient.disposed).toBe(false);
      await executable.dispose();
    });

    it("gives the same bits on the first, second and third run", async () => {
      const noisy = program(["u32[500]", "u32[500]", "f32[500,8]"], (w, a, b, x) => {
        const [bits] = w.all("threefry", [a, b, a, b], none) as [number, number];
        const noise = w.one("broadcast", [w.one("cast", [bits], { dtype: "f32" })], {
          shape: [500, 8],
          dims: [0],
        });
        const y = w.one("mul", [x, noise], none);
        return [
          w.one("dot", [y, y], { lhsBatch: [], rhsBatch: [], lhsContract: [0], rhsContract: [0] }),
          w.one("reduceSum", [y], { axes: [0] }),
        ];
      });
      const count = (text: string, length: number): DeviceValue =>
        target.upload(
          tensor(
            text,
            Array.from({ length }, (_, i) => Math.sin(i) * 1000),
          ),
        );
      const executable = await target.compile(noisy);
      const inputs = [count("u32[500]", 500), count("u32[500]", 500), count("f32[500,8]", 4000)];
      const runs: number[][][] = [];
      for (let i = 0; i < 3; i++) runs.push(await Promise.all((await executable.run(inputs)).map(read)));
      expect(runs[1]).toEqual(runs[0]);
      expect(runs[2]).toEqual(runs[0]);
    });

    it("returns inputs and repeated outputs as they are", async () => {
      const run = program(["f32[3]", "f32[3]"], (w, a, b) => {
        const sum = w.one("add", [a, b], none);
        return [b, sum, sum, b];
      });
      const executable = await target.compile(run, { donate: [1] });
      const [a, b] = [
        target.upload(tensor("f32[3]", [1, 2, 3])),
        target.upload(tensor("f32[3]", [10, 20, 30])),
      ];
      const outputs = await executable.run([a, b]);
      expect(b.disposed).toBe(true);
      expect(await Promise.all(outputs.map(read))).toEqual([[10, 20, 30], [11, 22, 33], [11, 22, 33], [10, 20, 30]]); // prettier-ignore
      // Each output is a value of its own: ending one leaves the others.
      outputs[0]?.dispose();
      outputs[1]?.dispose();
      target.upload(tensor("f32[3]", 0));
      expect(await read(outputs[3] as DeviceValue)).toEqual([10, 20, 30]);
      expect(await read(outputs[2] as DeviceValue)).toEqual([11, 22, 33]);
    });

    it("runs a program whose outputs are all inputs, and one without inputs", async () => {
      const identity = await target.compile(program(["f32[2]"], (_w, a) => [a]));
      const [same] = await identity.run([target.upload(tensor("f32[2]", [1, 2]))]);
      expect(await read(same as DeviceValue)).toEqual([1, 2]);
      const constant = await target.compile(
        program([], (w) => [w.one("iota", [], { shape: [3], dtype: "i32", axis: 0 })]),
      );
      expect(await read((await constant.run([]))[0] as DeviceValue)).toEqual([0, 1, 2]);
    });

    it("keeps every dtype and size 0 through upload and read", async () => {
      for (const text of ["f32[3]", "f16[3]", "i32[3]", "u32[3]", "bool[3]", "f32[0]", "f32[]"]) {
        const given = tensor(text, text.endsWith("[3]") ? [1, 0, 1] : text.endsWith("[]") ? [1] : []);
        const back = await target.upload(given).read();
        expect([back.dtype, back.shape, toNumbers(back)]).toEqual([
          given.dtype,
          given.shape,
          toNumbers(given),
        ]);
      }
    });

    it("holds inputs that their owner disposes of during a run", async () => {
      const executable = await target.compile(program(["f32[1000]"], (w, x) => [w.one("neg", [x], none)]));
      const input = target.upload(tensor("f32[1000]", 1));
      const running = executable.run([input]);
      input.dispose();
      target.upload(tensor("f32[1000]", 7));
      expect((await read((await running)[0] as DeviceValue)).every((x) => x === -1)).toBe(true);
    });

    it("reads what its owner disposes of, or donates, meanwhile", async () => {
      const executable = await target.compile(step, { donate: [0, 1] });
      const given = [10, 0, 1].map((value) => target.upload(tensor("f32[4]", value)));
      const [weights, momentum, sum] = await executable.run(given) as [DeviceValue, DeviceValue, DeviceValue]; // prettier-ignore
      const reading = [weights, momentum, sum].map(read);
      const rerun = executable.run([weights, momentum, given[2] as DeviceValue]);
      sum.dispose();
      expect(await Promise.all(reading)).toEqual([Array(4).fill(9), Array(4).fill(1), [40]]);
      for (const value of await rerun) value.dispose();
      await executable.dispose();
    });

    it("does not see later changes of uploaded or read arrays", async () => {
      const source = hostTensor("f32", [2], [1, 2]);
      const value = target.upload(source);
      source.data[0] = 9;
      const first = await value.read();
      expect(toNumbers(first)).toEqual([1, 2]);
      first.data[0] = 9;
      expect(await read(value)).toEqual([1, 2]);
    });

    it("explains wrong inputs", async () => {
      const executable = await target.compile(step, {
        donate: [0],
        name: "train step",
        inputNames: ["weights", "momentum", "gradient"],
      });
      const good = (): DeviceValue => target.upload(tensor("f32[4]", 0));
      const [a, b] = [good(), good()];
      await expect(executable.run([a, b])).rejects.toThrow("train step takes 3 tensors, got 2.");
      await expect(executable.run([a, target.upload(tensor("f32[3]", 0)), b])).rejects.toThrow(
        "train step: input 1 (momentum) is f32[3], expected f32[4].",
      );
      const foreign = openInterpreter().upload(tensor("f32[4]", 0));
      await expect(executable.run([a, foreign, b])).rejects.toThrow("input 1 is a value of another device");
      const gone = good();
      gone.dispose();
      gone.dispose();
      await expect(executable.run([a, b, gone])).rejects.toThrow("This f32[4] was disposed of");
      await expect(gone.read()).rejects.toThrow("This f32[4] was disposed of");
      expect(a.disposed).toBe(false); // the failed runs consumed nothing
      await executable.run([a, b, b]);
      await expect(executable.run([a, b, b])).rejects.toThrow("This f32[4] was donated to an earlier run");
      await expect(target.compile(step, { donate: [3] })).rejects.toThrow(
        "donate: 3 is not the position of one of the 3 inputs.",
      );
      await expect(target.compile(step, { donate: [1, 1] })).rejects.toThrow("names an input twice");
    });

    it("refuses one value donated at two places, and takes it once donated and once not", async () => {
      const executable = await target.compile(step, {
        donate: [0, 1],
        name: "train step",
        inputNames: ["state.weights", "state.momentum", "gradient"],
      });
      const [one, other] = [1, 2].map((x) => target.upload(tensor("f32[4]", x))) as [
        DeviceValue,
        DeviceValue,
      ];
      await expect(executable.run([one, one, other])).rejects.toThrow(
        "train step: input 0 (state.weights) and input 1 (state.momentum) are the same value, and both are donated; " +
          "a value can be donated once, so give another one or donate only one of the two.",
      );
      expect(await read(one)).toEqual([1, 1, 1, 1]); // the refused run consumed nothing
      const [weights] = await executable.run([one, other, one]);
      expect([one.disposed, other.disposed]).toEqual([true, true]);
      expect(await read(weights as DeviceValue)).toEqual([-1, -1, -1, -1]);
    });

    it("does not run what was disposed of, and keeps what it gave", async () => {
      const executable = await target.compile(step);
      const value = target.upload(tensor("f32[4]", 1));
      const [weights] = await executable.run([value, value, value]);
      await executable.dispose();
      await executable.dispose();
      await expect(executable.run([value, value, value])).rejects.toThrow(
        "This executable was disposed of; compile the program again.",
      );
      expect(await read(weights as DeviceValue)).toEqual([-0.5, -0.5, -0.5, -0.5]);
    });

    it("does nothing any more once it is closed", async () => {
      const own = await open();
      const executable = await own.compile(step);
      const value = own.upload(tensor("f32[4]", 0));
      const stranger = target.upload(tensor("f32[4]", 0));
      await expect(executable.run([value, stranger, value])).rejects.toThrow("is a value of another device");
      await own.dispose();
      await own.dispose();
      expect(value.disposed).toBe(true);
      await expect(value.read()).rejects.toThrow(
        "The device that holds this value was closed; read values before closing it.",
      );
      await expect(executable.run([value, value, value])).rejects.toThrow("This executable was disposed of");
      expect(() => own.upload(tensor("f32[4]", 0))).toThrow(
        `The ${own.name} device was closed; open it again.`,
      );
      await expect(own.compile(step)).rejects.toThrow(`The ${own.name} device was closed; open it again.`);
    });

    it("refuses a tensor whose values are not as many as its shape says", () => {
      expect(() => target.upload({ shape: [3], dtype: "f32", data: new Float32Array(2) })).toThrow(
        "upload: 2 values for shape [3].",
      );
    });
  });
}
