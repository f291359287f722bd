/** What a call of a compiled function accepts, and what it says about the rest; on both devices, which share the checks. */
import { afterAll, describe, expect, it } from "vitest";
import { toNumbers } from "../../src/compiler/host-tensor.ts";
import { add, bool, cast, f16, f32, fn, i32, not, sum } from "../../src/dsl/index.ts";
import { compile } from "../../src/runtime/compile.ts";
import type { Compiled, Input } from "../../src/runtime/compile.ts";
import type { DeviceValue } from "../../src/runtime/device.ts";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";
import { openCpu } from "../../src/runtime/onnx/cpu-device.ts";

const cpu = await openCpu({ threads: 1 });
const interpreter = openInterpreter();
afterAll(() => Promise.all([cpu.dispose(), interpreter.dispose()]));

const read = async (value: DeviceValue): Promise<number[]> => toNumbers(await value.read());

/** A call with whatever a program without types might give. */
const call = (compiled: unknown, input: unknown): Promise<unknown> =>
  (compiled as Compiled<never, unknown>).run(input as never);

/** The first line of the message: the sentence. The second names the line of the call. */
async function sentence(compiled: unknown, input: unknown): Promise<string> {
  const error: unknown = await call(compiled, input).then(
    () => new Error("nothing was refused"),
    (reason: unknown) => reason,
  );
  return (error as Error).message.split("\n")[0] ?? "";
}

describe.each([
  ["cpu", cpu],
  ["interpreter", interpreter],
])("inputs of a compiled function: %s", (_name, device) => {
  const matrix = fn({ x: f32(2, 3) }, ({ x }) => add(x, 1));

  it("takes numbers flat, nested as the shape says, as typed arrays and as values that were read", async () => {
    const compiled = await compile(matrix, { device });
    const result = await compiled.run({ x: [1, 2, 3, 4, 5, 6] });
    const before = await result.read();
    const inputs: readonly Input[] = [
      [[1, 2, 3], [4, 5, 6]],
      [Float32Array.of(1, 2, 3), [4, 5, 6]],
      Float32Array.of(1, 2, 3, 4, 5, 6),
      Float64Array.of(1, 2, 3, 4, 5, 6),
      Int32Array.of(1, 2, 3, 4, 5, 6),
      Uint8Array.of(1, 2, 3, 4, 5, 6),
    ]; // prettier-ignore
    for (const x of inputs) expect(await read(await compiled.run({ x }))).toEqual([2, 3, 4, 5, 6, 7]);
    for (const x of [result, before])
      expect(await read(await compiled.run({ x }))).toEqual([3, 4, 5, 6, 7, 8]);
  });

  it("takes an empty list for an input without entries, flat or nested", async () => {
    const compiled = await compile(
      fn({ x: f32(0), y: f32(0, 3), z: f32(2, 0) }, ({ x, y, z }) => add(add(sum(x), sum(y)), sum(z))),
      { device },
    );
    for (const z of [[], [[], []]]) expect(await read(await compiled.run({ x: [], y: [], z }))).toEqual([0]);
    expect(await sentence(compiled, { x: [], y: [], z: [[]] })).toBe(
      "z has 1 entries, and axis 0 of f32[2,0] has 2",
    );
    expect(await sentence(compiled, { x: [1], y: [], z: [] })).toBe("x takes 0 numbers ([0]), got 1");
  });

  it("takes booleans for bool inputs, and there alone", async () => {
    const compiled = await compile(
      fn({ flags: bool(2, 2), flag: bool() }, ({ flags, flag }) => ({
        flags: cast(not(flags), "i32"),
        flag: cast(flag, "i32"),
      })),
      { device },
    );
    for (const flags of [
      [true, false, false, true],
      [
        [true, false],
        [false, true],
      ],
      [1, 0, 0, 1],
      Uint8Array.of(1, 0, 0, 1),
    ]) {
      // prettier-ignore
      const result = await compiled.run({ flags, flag: true });
      expect([await read(result.flags), await read(result.flag)]).toEqual([[0, 1, 1, 0], [1]]);
    }
    const numbers = await compile(matrix, { device });
    expect(await sentence(numbers, { x: [0, true, 1, 1, 1, 1] })).toBe(
      "x[1] is true, and its dtype is f32; give 1",
    );
  });

  it("takes f16 numbers as numbers, and reads their bits, which toNumbers decodes", async () => {
    const compiled = await compile(
      fn({ x: f16(2) }, ({ x }) => add(x, x)),
      { device },
    );
    const bits = await (await compiled.run({ x: [0.5, -1] })).read();
    expect(bits.data).toEqual(Uint16Array.of(0x3c00, 0xc000));
    expect(toNumbers(bits)).toEqual([1, -2]);
    expect(await read(await compiled.run({ x: bits }))).toEqual([2, -4]);
    expect(await sentence(compiled, { x: bits.data })).toBe(
      "x: a Uint16Array holds the bits of f16 numbers; give the tensor that read() returned, or its toNumbers()",
    );
  });

  it("says what is wrong with numbers, by the path of the input", async () => {
    const compiled = await compile(
      fn({ state: { x: f32(2, 3) }, id: i32() }, ({ state: { x }, id }) => add(sum(x), cast(id, "f32"))),
      { device },
    );
    const cases: readonly (readonly [unknown, string])[] = [
      [[1, 2, 3, 4, 5], "state.x takes 6 numbers ([2,3]), got 5"],
      [[], "state.x takes 6 numbers ([2,3]), got 0"],
      [7, "state.x takes 6 numbers ([2,3]), got 1"],
      [[[1, 2], [3, 4], [5, 6]], "state.x has 3 entries, and axis 0 of f32[2,3] has 2"],
      [[[1, 2, 3], [4, 5]], "state.x[1] has 2 entries, and axis 1 of f32[2,3] has 3"],
      [[[1, 2, 3], 4], "state.x[1] is 4, and a list is needed: state.x is f32[2,3]"],
      [[[[1], 2, 3], [4, 5, 6]], "state.x[0][0] is a list of 1, and a number is needed"],
      [[1, 2, 3, [4, 5, 6]], "state.x[3] is a list of 3, and a number is needed"],
      [[1, 2, 3, 4, 5, "6"], "state.x[5] is a string, and a number is needed"],
      // A list with a hole, as `new Array(6)` has six of.
      [Object.assign([1, 2, 3, 4, 5], { length: 6 }), "state.x[5] is undefined, and a number is needed"],
      [[1, 2, 3, 4, 5, null], "state.x[5] is null, and a number is needed"],
      ["123456", "state.x takes f32[2,3], as a tensor or as numbers, got a string"],
      [BigInt64Array.of(1n), "state.x takes f32[2,3], as a tensor or as numbers, got a BigInt64Array"],
      [{ a: [1] }, "state.x takes f32[2,3], as a tensor or as numbers, got an object"],
    ]; // prettier-ignore
    for (const [x, message] of cases) expect(await sentence(compiled, { state: { x }, id: 1 })).toBe(message);
    expect(await sentence(compiled, { state: { x: new Float32Array(6) }, id: [[1]] })).toBe(
      "id[0] is a list of 1, and a number is needed",
    );
  });

  it("says where a tree is not the declared one, and names the line of the call", async () => {
    const compiled = await compile(
      fn({ state: { w: f32(), b: f32() }, pair: [f32(), f32()] }, ({ state, pair }) =>
        add(add(state.w, state.b), add(pair[0], pair[1])),
      ),
      { device },
    );
    const good = { state: { w: 1, b: 2 }, pair: [3, 4] };
    expect(await read((await call(compiled, good)) as DeviceValue)).toEqual([10]);
    const cases: readonly (readonly [unknown, string])[] = [
      [{ ...good, state: { w: 1 } }, "state.b is missing"],
      [{ ...good, state: { w: 1, b: undefined } }, "state.b is missing"],
      [{ ...good, x: 1 }, "there is no x; the function takes pair, state"],
      [{ ...good, state: { w: 1, b: 2, c: 3 } }, "there is no state.c; state has b, w"],
      [{ ...good, state: 3 }, "state is 3, and an object with b, w is needed"],
      [{ ...good, state: [1, 2] }, "state is a list of 2, and an object with b, w is needed"],
      [{ ...good, state: device.upload({ shape: [], dtype: "f32", data: Float32Array.of(1) }) }, "state is a tensor, and an object with b, w is needed"], // prettier-ignore
      [{ ...good, pair: [1] }, "pair.1 is missing"],
      [{ ...good, pair: [1, 2, 3] }, "there is no pair.2; pair has 0, 1"],
      [{ ...good, pair: { a: 1 } }, "pair is an object, and a list of 2 is needed"],
      [null, "the argument is null, and an object with pair, state is needed"],
    ];
    for (const [input, problem] of cases)
      expect(await sentence(compiled, input)).toBe(
        `the inputs are not what the function declares: ${problem}`,
      );
    await expect(call(compiled, null)).rejects.toThrow(/\n {4}at .*compile\.test\.ts:\d+:\d+$/);
  });

  it("names both places of a value that is donated twice", async () => {
    const compiled = await compile(
      fn({ state: { w: f32(2), b: f32(2) } }, ({ state: { w, b } }) => add(w, b)),
      { device, donate: ["state"], name: "the step" },
    );
    const value = device.upload({ shape: [2], dtype: "f32", data: Float32Array.of(1, 2) });
    await expect(compiled.run({ state: { w: value, b: value } })).rejects.toThrow(
      "the step: input 0 (state.b) and input 1 (state.w) are the same value, and both are donated;",
    );
    expect(value.disposed).toBe(false);
    // Numbers are uploaded for each place, so a list may stand at both.
    const numbers = [1, 2];
    expect(await read(await compiled.run({ state: { w: numbers, b: numbers } }))).toEqual([2, 4]);
  });
});
