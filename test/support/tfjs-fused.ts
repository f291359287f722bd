/**
 * Products with a bias and an activation on a backend of TensorFlow.js: which kernels run, and what they compute, against the same
 * programs without fusion and against the interpreter.
 *
 * Consumed by the tests of the devices in Node and in a browser, so nothing of Node is imported here.
 */
import fc from "fast-check";
import { expect, it, vi } from "vitest";
import { toExact, toStorage } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../src/compiler/host-tensor.ts";
import { FUSED } from "../../src/compiler/tfjs/fuse.ts";
import type { Program, TensorType, VarId } from "../../src/dsl/program/program.ts";
import type { Device } from "../../src/runtime/device.ts";
import type { PageBackendName } from "../../src/runtime/tfjs/engine.ts";
import { deviation, runOn } from "./on-device.ts";
import { trying } from "./op-cases.ts";
import { difference, program, tensor, Writer } from "./programs.ts";
import { memoryOf } from "./tfjs-memory.ts";
import type { Memory } from "./tfjs-memory.ts";

const none = {};
const SPECIAL = [NaN, Infinity, -Infinity, 0, -1e30];
const ACTIVATIONS = ["relu", "logistic", "tanh", "none"] as const;

const dotOf = (lhs: number, rhs: number, batched: boolean) =>
  batched
    ? { lhsBatch: [0], rhsBatch: [0], lhsContract: [lhs - 1], rhsContract: [rhs - 2] }
    : { lhsBatch: [], rhsBatch: [], lhsContract: [lhs - 1], rhsContract: [rhs - 2] };

/** max(0, x). */
export const rectified = (w: Writer, x: VarId): VarId => {
  const { shape, dtype } = w.typeOf(x);
  return w.one("max", [x, w.one("constant", [], { shape, dtype, values: 0 })], none);
};

/** x·weight, of a matrix with [k, n], or of a batch of them with [batch, k, n] or [k, n]. */
export function product(w: Writer, x: VarId, weight: VarId): VarId {
  const [a, b] = [w.typeOf(x).shape.length, w.typeOf(weight).shape.length];
  return w.one("dot", [x, weight], dotOf(a, b, b === 3));
}

/** The product plus a number for each column. */
export function shifted(w: Writer, x: VarId, bias: VarId): VarId {
  const { shape } = w.typeOf(x);
  const dims = w.typeOf(bias).shape.map((_, i, own) => shape.length - own.length + i);
  return w.one("add", [x, w.one("broadcast", [bias], { shape, dims })], none);
}

/** A layer of a random program: what is fused, and what only looks like it. */
interface Layer {
  readonly columns: number;
  readonly batched: boolean;
  readonly bias: "columns" | "rows" | "one" | "whole" | "product" | "none";
  readonly first: "product" | "bias";
  readonly view: "none" | "flat" | "heads";
  readonly activation: (typeof ACTIVATIONS)[number];
  readonly seen: "end" | "product" | "sum";
}

interface Network {
  readonly sizes: readonly [batch: number, rows: number, inner: number];
  readonly layers: readonly Layer[];
  readonly seed: number;
  readonly special: "nowhere" | "biases" | "everywhere";
}

const arbitraryNetwork = (special: readonly Network["special"][]): fc.Arbitrary<Network> => {
  const extent = fc.constantFrom(2, 3, 4, 6, 8, 1, 0);
  const layer: fc.Arbitrary<Layer> = fc.record({
    columns: extent,
    batched: fc.boolean(),
    bias: fc.constantFrom(...Array<"columns">(5).fill("columns"), "one", "rows", "whole", "product", "none"),
    first: fc.constantFrom("product", "bias"),
    view: fc.constantFrom("none", "flat", "heads"),
    activation: fc.constantFrom(...ACTIVATIONS),
    seen: fc.constantFrom("end", "end", "end", "sum", "product"),
  });
  return fc.record({
    sizes: fc.tuple(fc.constantFrom(1, 1, 2, 2, 3, 3, 0), extent, extent),
    layers: fc.array(layer, { minLength: 1, maxLength: 3 }),
    seed: fc.nat(1000),
    special: fc.constantFrom(...special),
  });
};

/** The program of a network, and where its biases are among the inputs. */
function written({ sizes, layers }: Pick<Network, "sizes" | "layers">): {
  readonly run: Program;
  readonly biases: ReadonlySet<number>;
} {
  const w = new Writer();
  const types: TensorType[] = [];
  const biases = new Set<number>();
  const input = (shape: readonly number[]): VarId => {
    const type: TensorType = { dtype: "f32", shape };
    types.push(type);
    return w.input(type);
  };
  const [batch, rows, inner] = sizes;
  let x = input([batch, rows, inner]);
  let width = inner;
  const outputs: VarId[] = [];
  for (const { columns, batched, bias, first, view, activation, seen } of layers) {
    const weight = (): VarId => input(batched ? [batch, width, columns] : [width, columns]);
    const raw = product(w, x, weight());
    if (seen === "product") outputs.push(raw);
    const heads = columns % 2 === 0 ? [2, columns / 2] : [1, columns];
    const shape =
      view === "none" ? [batch, rows, columns] : view === "flat" ? [batch * rows, columns] : [batch, rows, ...heads]; // prettier-ignore
    const viewed = view === "none" ? raw : w.one("reshape", [raw], { shape });
    const last = shape.length - 1;
    const added = (own: readonly number[], dims: readonly number[]): VarId => {
      biases.add(types.length);
      return w.one("broadcast", [input(own)], { shape, dims });
    };
    const term = (): VarId => {
      switch (bias) {
        case "columns":
          return view === "heads" ? added(heads, [2, 3]) : added([columns], [last]);
        case "rows":
          return added([shape[last - 1] as number], [last - 1]); // of rank 2 at least
        case "one":
          return added([], []);
        case "product":
          return w.one("reshape", [product(w, x, weight())], { shape });
        default:
          return added(
            shape,
            shape.map((_, axis) => axis),
          );
      }
    };
    const operands = bias === "none" ? [] : [viewed, term()];
    const sum = bias === "none" ? viewed : w.one("add", first === "bias" ? operands.toReversed() : operands, none); // prettier-ignore
    if (seen === "sum") outputs.push(sum);
    const active =
      activation === "none" ? sum : activation === "relu" ? rectified(w, sum) : w.one(activation, [sum], none); // prettier-ignore
    x = w.one("reshape", [active], { shape: [batch, rows, columns] });
    width = columns;
  }
  return { run: w.program([...outputs, x]), biases };
}

/** Numbers for the inputs of a network. */
function numbersFor(
  { run, biases }: ReturnType<typeof written>,
  { seed, special }: Pick<Network, "seed" | "special">,
): ExactTensor[] {
  return run.inputs.map((id, i) => {
    const type = run.types[id] as TensorType; // an input has a type
    const plain = toExact(trying(`f32[${type.shape.join()}]`, seed + i));
    if (special === "nowhere" || (special === "biases" && !biases.has(i))) return plain;
    const data = Float64Array.from(plain.data as Float64Array, (x, n) =>
      (n * 7 + seed + i) % 3 === 0 ? (SPECIAL[(n + seed) % SPECIAL.length] as number) : x,
    );
    return { ...plain, data } as ExactTensor; // f32 as before
  });
}

/** The kernels that are called on the selected backend meanwhile, in their order. */
export async function kernelsIn(tf: Memory, work: () => Promise<unknown>): Promise<readonly string[]> {
  const engine = tf.engine() as unknown as { runKernel(name: string): unknown }; // as every version has it
  const spy = vi.spyOn(engine, "runKernel");
  try {
    await work();
    return spy.mock.calls.map(([name]) => name);
  } finally {
    spy.mockRestore();
  }
}

/** The kernels of one run of a program of f32 that compute something, in their order. */
export const kernelsOf = async (tf: Memory, on: Device, run: Program): Promise<readonly string[]> => {
  const inputs = run.inputs.map((id, i) => trying(`f32[${(run.types[id] as TensorType).shape.join()}]`, i)); // it has types
  const kernels = await kernelsIn(tf, () => runOn(on, run, inputs));
  return kernels.filter((kernel) => kernel !== "Reshape" && kernel !== "Identity");
};

/** What a backend fuses beside one product and its bias. */
interface Fuses {
  readonly batches: boolean;
  readonly relu: boolean;
  readonly sigmoid: boolean;
}

export const FUSES = {
  cpu: { batches: true, relu: true, sigmoid: true },
  wasm: { batches: false, relu: false, sigmoid: true },
  webgl: { batches: true, relu: false, sigmoid: false },
  webgpu: { batches: true, relu: true, sigmoid: false },
} as const satisfies Readonly<Record<PageBackendName, Fuses>>;

/**
 * Declares the tests.
 * @param devices the same backend with fusion and without
 * @param runs how many random programs
 * @param factors whether special values are among factors too; else among biases alone
 */
export function testFusion(
  { device, unfused }: { readonly device: Device; readonly unfused: Device },
  tf: Memory,
  { fuses, runs, factors }: { readonly fuses: Fuses; readonly runs: number; readonly factors: boolean },
): void {
  it("calls one kernel for a product, its bias and an activation", async () => {
    const layer = (batch: readonly number[], activation: (w: Writer, x: VarId) => VarId): Program =>
      program(
        [`f32[${[...batch, 3, 4].join()}]`, `f32[${[...batch, 4, 5].join()}]`, "f32[5]"],
        (w, x, weight, bias) => [activation(w, shifted(w, product(w, x, weight), bias))],
      );
    const plain = layer([], (_, x) => x);
    expect(await kernelsOf(tf, device, plain)).toEqual([FUSED]);
    expect(await kernelsOf(tf, unfused, plain)).toEqual(["BatchMatMul", "Add"]);
    const batches = layer([2], (_, x) => x);
    expect(await kernelsOf(tf, device, batches)).toEqual(fuses.batches ? [FUSED] : ["BatchMatMul", "Add"]);
    const relu = layer([], rectified);
    expect(await kernelsOf(tf, device, relu)).toEqual(fuses.relu ? [FUSED] : [FUSED, "Maximum"]);
    const sigmoid = layer([], (w, x) => w.one("logistic", [x], none));
    const [first, ...others] = await kernelsOf(tf, device, sigmoid);
    expect(first).toBe(FUSED);
    expect(others.length === 0).toBe(fuses.sigmoid);
  });

  it("keeps special values in the bias, with every activation", async () => {
    const rows = { bias: "columns", first: "product", view: "none", seen: "end", columns: 10 } as const;
    for (const activation of ACTIVATIONS)
      for (const batched of [false, true]) {
        const layers = [{ ...rows, batched, activation }];
        const one = written({ sizes: [2, 3, 4], layers });
        const [x, weight] = numbersFor(one, { seed: 1, special: "nowhere" }) as [ExactTensor, ExactTensor]; // and the bias
        const bias = tensor("f32[10]", [...SPECIAL, 1, -1, 100, -100, 0]);
        const found = await deviation(device, one.run, [x, weight, bias].map(toStorage), 1e-5);
        expect(found, `${activation}, batched: ${batched}`).toBeUndefined();
      }
  });

  it("computes the same as without fusion, and as the interpreter", async () => {
    const before = memoryOf(tf);
    const arbitrary = arbitraryNetwork(factors ? ["nowhere", "biases", "everywhere"] : ["nowhere", "biases"]);
    let calls = 0;
    const property = fc.asyncProperty(arbitrary, async (network) => {
      const one = written(network);
      const inputs = numbersFor(one, network).map(toStorage);
      const kernels = await kernelsIn(tf, async () => {
        expect(await deviation(device, one.run, inputs, 1e-5)).toBeUndefined();
      });
      calls += kernels.filter((kernel) => kernel === FUSED).length;
      const [a, b] = [await runOn(device, one.run, inputs), await runOn(unfused, one.run, inputs)];
      expect(difference(a, b, 1e-5)).toBeUndefined();
      expect(memoryOf(tf)).toEqual(before);
    });
    await fc.assert(property, { numRuns: runs });
    // The programs are about what is fused.
    expect(calls).toBeGreaterThan(runs / 5);
  });
}
