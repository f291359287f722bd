/**
 * The ways to compute one large product, timed against each other: the one that is chosen, the same with its sizes elsewhere, and the
 * tuner's candidates of its kind. The tuner keeps what is fastest for a program; this says by how much, however operands lie.
 *
 * Consumed by the benchmark of hardware. A new candidate of the tuner takes part without a line here.
 */
import { toNumbers } from "../../src/compiler/host-tensor.ts";
import type { TargetLimits } from "../../src/compiler/kernel/plan.ts";
import { configName, dotCandidates } from "../../src/compiler/schedule/dot/candidates.ts";
import { chooseDot } from "../../src/compiler/schedule/dot/dot.ts";
import type { DotConfig } from "../../src/compiler/schedule/dot/dot.ts";
import type { DotLayout, DotShape } from "../../src/compiler/schedule/dot/problem.ts";
import { schedule } from "../../src/compiler/schedule/schedule.ts";
import { inputTypes } from "../../src/dsl/program/program.ts";
import type { DeviceValue } from "../../src/runtime/device.ts";
import type { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { dotProgram, exactOperand } from "../../src/runtime/webgpu/dot-alone.ts";
import { compare } from "../contenders.ts";
import { sampledProduct } from "../sampled-product.ts";
import type { Float } from "../webgpu/bare-matmul.ts";
import { NOBODY, timesOf } from "./timings.ts";
import type { Timing } from "./timings.ts";

/** How operands lie: the first letter is of the left one, N where it is in rows as a product has it, T where in columns. */
export const LIES = {
  NN: { left: "k", right: "column" },
  NT: { left: "k", right: "k" },
  TN: { left: "row", right: "column" },
} as const satisfies Readonly<Record<string, DotLayout>>;

/** Different ways: the chosen one first, and others that are not in slices of the sum. */
function waysOf(shape: DotShape, layout: DotLayout, limits: TargetLimits): readonly DotConfig[] {
  const chosen = chooseDot(shape, layout, limits);
  const others = dotCandidates(shape, layout, limits).filter(
    (config) =>
      config.rung.kind === chosen.rung.kind &&
      config.split === undefined &&
      configName(config) !== configName(chosen),
  );
  return [chosen, { ...chosen, sizes: chosen.sizes === "text" ? "parameters" : "text" }, ...others];
}

const nameOf = (config: DotConfig): string =>
  `${configName(config)}, sizes ${config.sizes === "text" ? "in the text" : "as parameters"}`;

/** A matrix of [size, size] the other way round. */
const transposed = (size: number, x: ArrayLike<number>): Float64Array =>
  Float64Array.from({ length: size ** 2 }, (_, i) => x[(i % size) * size + Math.floor(i / size)] as number);

/** A square product in every way. Whole rows of each are checked. */
export async function productWays(
  device: WebGpuDevice,
  size: number,
  dtype: Float,
  lie: keyof typeof LIES,
): Promise<Timing> {
  const shape: DotShape = { batch: 1, rows: size, columns: size, inner: size };
  const layout: DotLayout = { ...LIES[lie], dtype };
  const program = dotProgram(shape, layout);
  const operands = inputTypes(program).map((type, seed) => exactOperand(type, seed, size));
  const [left, right] = operands.map((operand, i): ArrayLike<number> =>
    lie[i] === "N" ? toNumbers(operand) : transposed(size, toNumbers(operand)),
  ) as [ArrayLike<number>, ArrayLike<number>]; // a dot has two
  const { expected, sample } = sampledProduct(size, left, right);
  const inputs = operands.map((operand) => device.upload(operand));
  const ways = waysOf(shape, layout, device.limits);
  let times: { readonly times: number; readonly onceMs: number } | undefined;
  const comparison = await compare(NOBODY, {
    name: `ways of matmul ${size} ${dtype} ${lie}`,
    what: `[${size},${size}] by [${size},${size}], ${dtype}, ${lie}`,
    flops: 2 * size ** 3,
    candidates: ways.map((config) => ({
      name: nameOf(config),
      prepare: async () => {
        const plan = schedule(program, { limits: device.limits, dots: () => config });
        const executable = await device.load(plan, { name: nameOf(config) });
        const once = async (): Promise<DeviceValue> => {
          const [result] = await executable.run(inputs);
          return result as DeviceValue; // a dot has one
        };
        const repeat = async (count: number): Promise<void> => {
          for (let i = 0; i < count; i++) (await once()).dispose();
          await device.context.gpu.device.queue.onSubmittedWorkDone();
        };
        times ??= await timesOf(device, repeat);
        const { times: count } = times;
        return {
          run: () => repeat(count),
          values: async () => {
            const result = await once();
            const values = toNumbers(await result.read());
            result.dispose();
            return [sample(values)];
          },
          dispose: () => executable.dispose(),
        };
      },
    })),
    checks: [{ what: "the product", tolerance: dtype === "f32" ? 1e-6 : 4e-3 }],
    expected: { from: "sums in float64", values: [expected] },
    ratios: ways.slice(1).map((config) => ({ of: nameOf(ways[0] as DotConfig), to: nameOf(config) })), // the chosen one is there
  });
  const { times: count = 1, onceMs = 0 } = times ?? {};
  return {
    onceMs,
    comparison: {
      ...comparison,
      what: count === 1 ? comparison.what : `${comparison.what}, ${count} times`,
      flops: 2 * size ** 3 * count,
      dispose: async () => {
        await comparison.dispose();
        for (const input of inputs) input.dispose();
      },
    },
  };
}
