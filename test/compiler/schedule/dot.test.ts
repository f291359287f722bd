/** The rungs of the matmul ladder at sizes around their tiles, against the interpreter. */
import { describe, expect, it, vi } from "vitest";
import { exactTensor } from "../../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { dot } from "../../../src/compiler/interpret/arrays.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { TargetLimits } from "../../../src/compiler/kernel/plan.ts";
import { KernelBuilder, index, plus, times } from "../../../src/compiler/kernel/builder.ts";
import type { Expr } from "../../../src/compiler/kernel/ir.ts";
import {
  DOT_SUM_LANES,
  chooseDot,
  launchDot,
  slicesType,
  writeDot,
  writeDotSlices,
  writeDotSum,
} from "../../../src/compiler/schedule/dot/dot.ts";
import type { DotConfig } from "../../../src/compiler/schedule/dot/dot.ts";
import type {
  DotLayout,
  DotOperands,
  DotRung,
  DotShape,
  DotStore,
  OperandQuads,
} from "../../../src/compiler/schedule/dot/problem.ts";
import { workgroupsFor } from "../../../src/compiler/schedule/elements.ts";
import type { OpParams, TensorType } from "../../../src/dsl/program/program.ts";
import { sizeOf } from "../../../src/dsl/program/program.ts";
import type { Routine, Stage } from "../../../src/compiler/schedule/routines/routine.ts";
import { difference } from "../../support/programs.ts";
import { PLAN_RUNNERS, planOf } from "../../support/stage-plan.ts";
import type { RunPlan } from "../../support/stage-plan.ts";
import { openTestGpu } from "../../support/webgpu.ts";

// Software adapters take seconds to compile a kernel.
vi.setConfig({ testTimeout: 120_000 });

/** Which operand is stored with k first. */
interface Storage {
  readonly left: "row,k" | "k,row";
  readonly right: "k,column" | "column,k";
}
const STORAGES: Readonly<Record<"NN" | "NT" | "TN" | "TT", Storage>> = {
  NN: { left: "row,k", right: "k,column" },
  NT: { left: "row,k", right: "column,k" },
  TN: { left: "k,row", right: "k,column" },
  TT: { left: "k,row", right: "column,k" },
};

const layoutOf = ({ left, right }: Storage): DotLayout => ({
  left: left === "row,k" ? "k" : "row",
  right: right === "k,column" ? "column" : "k",
});

const load = (buffer: number, at: Expr): Expr => ({ kind: "load", type: "f32", buffer, at });

/** Loads from buffers `left` and `right`, as they are stored; in quads where the innermost axis has a multiple of four elements. */
function operandsOf(
  builder: KernelBuilder,
  { left, right }: Storage,
  { rows, columns, inner }: DotShape<Expr>,
  shape: DotShape,
  at: { readonly left: number; readonly right: number },
): DotOperands {
  const flat = (i: Expr, n: Expr, j: Expr, m: Expr, k: Expr): Expr => plus(times(plus(times(i, n), j), m), k);
  const inLeft = (batch: Expr, row: Expr, k: Expr): Expr =>
    left === "row,k" ? flat(batch, rows, row, inner, k) : flat(batch, inner, k, rows, row);
  const inRight = (batch: Expr, column: Expr, k: Expr): Expr =>
    right === "k,column" ? flat(batch, inner, k, columns, column) : flat(batch, columns, column, inner, k);
  const quads = (position: number, extent: number, place: typeof inLeft): OperandQuads | undefined => {
    if (extent % 4 !== 0) return undefined;
    return (batch, i, k) => {
      builder.inQuads(position);
      return { memory: { kind: "buffer", position }, at: place(batch, i, k) };
    };
  };
  return {
    left: (batch, row, k) => load(at.left, inLeft(batch, row, k)),
    right: (batch, k, column) => load(at.right, inRight(batch, column, k)),
    leftQuads: quads(at.left, left === "row,k" ? shape.inner : shape.rows, inLeft),
    rightQuads: quads(at.right, right === "k,column" ? shape.columns : shape.inner, inRight),
  };
}

const types = (
  { left, right }: Storage,
  { batch, rows, columns, inner }: DotShape,
): readonly [TensorType, TensorType, TensorType] => [
  { dtype: "f32", shape: left === "row,k" ? [batch, rows, inner] : [batch, inner, rows] },
  { dtype: "f32", shape: right === "k,column" ? [batch, inner, columns] : [batch, columns, inner] },
  { dtype: "f32", shape: [batch, rows, columns] },
];

/** Multiples of 1/4 so small that f32 holds every sum exactly: any order gives the same. */
const exact = (type: TensorType, seed: number): ExactTensor =>
  exactTensor(
    type.dtype,
    type.shape,
    Array.from({ length: sizeOf(type.shape) }, (_, i) => ((((i + seed) * 2654435761) % 17) - 8) / 4),
  );

/** The kernels of a dot, with sizes as parameters or as literals. The operands are inputs 0 and 1. */
function routineOf(storage: Storage, shape: DotShape, config: DotConfig, literal = false): Routine {
  const layout = layoutOf(storage);
  const { batch, rows, columns, inner } = shape;
  const sizes = literal ? [] : [batch, rows, columns, inner];
  const extentsIn = (builder: KernelBuilder): DotShape<Expr> => {
    const extent = (size: number): Expr => (literal ? index(size) : builder.param());
    return { batch: extent(batch), rows: extent(rows), columns: extent(columns), inner: extent(inner) };
  };
  const storing =
    (builder: KernelBuilder, { rows, columns }: DotShape<Expr>, buffer: number): DotStore =>
    (batch, row, column, value) => {
      const at = plus(times(plus(times(batch, rows), row), columns), column);
      builder.emit({ kind: "store", buffer, at, value });
    };
  const builder = new KernelBuilder();
  const extents = extentsIn(builder);
  const [left, right] = ["read", "read"].map(() => builder.buffer({ dtype: "f32", access: "read" }));
  const operands = operandsOf(builder, storage, extents, shape, {
    left: left as number,
    right: right as number,
  });
  const { kind } = config.rung;
  if (config.split === undefined) {
    const result = builder.buffer({ dtype: "f32", access: "write" });
    writeDot(builder, extents, layout, operands, { store: storing(builder, extents, result) }, config);
    const stage: Stage = {
      kernel: builder.finish(`dot_${kind}`, config.lanes),
      buffers: [{ input: 0 }, { input: 1 }, { output: 0 }],
      params: sizes,
      workgroups: config.workgroups,
      flops: 0,
    };
    return { temporaries: [], stages: [stage] };
  }
  const { slices, chunk } = config.split;
  const partial = builder.buffer({ dtype: "f32", access: "write" });
  writeDotSlices(builder, extents, layout, operands, { buffer: partial, chunk: builder.param() }, config);
  const second = new KernelBuilder();
  const again = extentsIn(second);
  const sliced = second.buffer({ dtype: "f32", access: "read" });
  const result = second.buffer({ dtype: "f32", access: "write" });
  writeDotSum(second, again, { buffer: sliced, chunk: second.param() }, storing(second, again, result));
  return {
    temporaries: [slicesType(shape, slices)],
    stages: [
      {
        kernel: builder.finish(`dot_${kind}_slices`, config.lanes),
        buffers: [{ input: 0 }, { input: 1 }, { temporary: 0 }],
        params: [...sizes, chunk],
        workgroups: config.workgroups,
        flops: 0,
      },
      {
        kernel: second.finish("dot_sum", DOT_SUM_LANES),
        buffers: [{ temporary: 0 }, { output: 0 }],
        params: [...sizes, chunk],
        workgroups: workgroupsFor(sizeOf(slicesType(shape, 1).shape), DOT_SUM_LANES),
        flops: 0,
      },
    ],
  };
}

function expected(storage: Storage, given: readonly ExactTensor[], shape: DotShape): ExactTensor {
  const params: OpParams["dot"] = {
    lhsBatch: [0],
    rhsBatch: [0],
    lhsContract: [storage.left === "row,k" ? 2 : 1],
    rhsContract: [storage.right === "k,column" ? 1 : 2],
  };
  return dot(given[0] as ExactTensor, given[1] as ExactTensor, params, types(storage, shape)[2]);
}

type Name = keyof typeof STORAGES;

const operandsFor = (name: Name, shape: DotShape): readonly [ExactTensor, ExactTensor] => {
  const [left, right] = types(STORAGES[name], shape);
  return [exact(left, 1), exact(right, 2)];
};

/** Runs a dot and compares it with the interpreter's, bit by bit. */
async function check(
  run: RunPlan,
  name: Name,
  shape: DotShape,
  config: DotConfig,
  { given = operandsFor(name, shape), literal = false } = {},
): Promise<void> {
  const storage = STORAGES[name];
  const [left, right, out] = types(storage, shape);
  const [result] = await run(planOf(routineOf(storage, shape, config, literal), [left, right], [out]), given);
  const problem = difference([result as ExactTensor], [expected(storage, given, shape)]);
  const text = `${problem} (${name}, ${JSON.stringify({ shape, config })})`;
  expect(problem === undefined ? undefined : text).toBeUndefined();
}

const RUNGS: Readonly<Record<string, DotRung>> = {
  direct: { kind: "direct" },
  "gemv, one row": { kind: "gemv", few: 1, of: "rows", kLanes: 32, wideLanes: 8, fast: "wide" },
  "gemv, eight rows": { kind: "gemv", few: 8, of: "rows", kLanes: 16, wideLanes: 4, fast: "k" },
  "gemv, two columns": { kind: "gemv", few: 2, of: "columns", kLanes: 64, wideLanes: 4, fast: "k" },
  "tiles of 32": { kind: "tile", tile: 32, depth: 16, each: 4, unroll: 4 },
  "subgroups along k": { kind: "subgroups", few: 4, of: "columns", along: "k" },
  "subgroups along rows": { kind: "subgroups", few: 2, of: "columns", along: "wide" },
  "subgroups along columns": { kind: "subgroups", few: 8, of: "rows", along: "wide" },
  "registers, 4 by 4": { kind: "registers", each: 4 },
  "registers, 8 by 8": { kind: "registers", each: 8 },
  "quads, tiles of 32": { kind: "quads", tile: 32, depth: 16, each: [4, 4] },
  "quads, tiles of 64": { kind: "quads", tile: 64, depth: 16, each: [8, 8] },
  "quads, tiles of 128": { kind: "quads", tile: 128, depth: 8, each: [8, 16] },
  "tiles of 64": { kind: "tile", tile: 64, depth: 16, each: 8, unroll: 2 },
};
const SOFTWARE: TargetLimits = { ...MINIMUM_LIMITS, software: true };
const SIZES = [1, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 124, 127];

const { subgroups } = await openTestGpu();
if (subgroups === undefined) console.log("Dots by subgroups are not tested on this GPU: it has none.");

/** `count` points of the cube of sizes: each size in each place, in changing company. */
const sampled = (count: number): readonly DotShape[] =>
  Array.from({ length: count }, (_, i) => {
    const size = (step: number): number =>
      SIZES[(i * step + Math.floor(i / SIZES.length)) % SIZES.length] as number;
    return { batch: 1 + (i % 2), rows: size(1), columns: size(5), inner: size(7) };
  });

describe.each(PLAN_RUNNERS)("a dot %s", (where, run) => {
  const host = where === "on the host";
  const names = Object.keys(STORAGES) as readonly Name[];
  const possible = Object.entries(RUNGS).filter(
    ([, { kind }]) => kind !== "subgroups" || host || subgroups !== undefined,
  );
  describe.each(possible)("by %s", (_rung, rung) => {
    // Each way of storing operands makes other kernels: of the largest, which is slow to compile, a GPU gets one.
    it.each(host || ("tile" in rung ? rung.tile : 0) < 64 ? names : (["NT"] as const))("%s", async (name) => {
      for (const shape of sampled(host ? 18 : 6)) await check(run, name, shape, launchDot(shape, rung, 1));
    });
    if (rung.kind !== "direct" && (host || rung.kind === "gemv" || rung.kind === "subgroups"))
      it("in slices of k", async () => {
        for (const shape of sampled(host ? 12 : 4)) await check(run, "NT", shape, launchDot(shape, rung, 3));
      });
  });
});

describe("dots", () => {
  const [, host] = PLAN_RUNNERS[0] as (typeof PLAN_RUNNERS)[number];

  it.each(Object.entries(RUNGS))("by %s do not sum what is beyond the end of k", async (_rung, rung) => {
    const shape = { batch: 1, rows: 5, columns: 4, inner: 9 };
    const [left, right] = operandsFor("TN", shape);
    // The last row of `right`, and what is read again in place of what lies beyond.
    right.data.fill(Infinity, 8 * 4);
    left.data.fill(1, 8 * 5);
    await check(host, "TN", shape, launchDot(shape, rung, 1), { given: [left, right] });
  });

  it.each(Object.entries(RUNGS))("by %s leave workgroups beyond the last idle", async (_rung, rung) => {
    const shape = { batch: 2, rows: 33, columns: 9, inner: 40 };
    for (const slices of rung.kind === "direct" ? [1] : [1, 2]) {
      const config = launchDot(shape, rung, slices);
      await check(host, "NN", shape, { ...config, workgroups: config.workgroups + 3 });
    }
  });

  it.each(Object.entries(RUNGS))("by %s may have sizes in their text", async (_rung, rung) => {
    // Multiples of all tiles need no guards; others do.
    const shapes = [
      { batch: 1, rows: 64, columns: 128, inner: 48 },
      { batch: 2, rows: 65, columns: 32, inner: 44 },
    ];
    for (const shape of shapes)
      for (const slices of rung.kind === "direct" ? [1] : [1, 2])
        await check(host, "TN", shape, launchDot(shape, rung, slices), { literal: true });
  });

  const choice = (
    rows: number,
    columns: number,
    inner: number,
    name: Name = "NN",
    batch = 1,
    limits: TargetLimits = MINIMUM_LIMITS,
  ): string => {
    const config = chooseDot({ batch, rows, columns, inner }, layoutOf(STORAGES[name]), limits);
    const { rung, split } = config;
    const kind =
      rung.kind === "gemv" ? `gemv of ${rung.few} ${rung.of}, neighbours along ${rung.fast}` :
      rung.kind === "tile" ? `tiles of ${rung.tile}` :
      rung.kind === "quads" ? `quads, tiles of ${rung.tile}` :
      rung.kind === "subgroups" ? `subgroups, ${rung.few} ${rung.of}, along ${rung.along}` :
      rung.kind === "registers" ? `registers, ${rung.each} by ${rung.each}` : rung.kind; // prettier-ignore
    return `${kind}, ${config.workgroups} workgroups${split === undefined ? "" : `, slices of ${split.chunk}`}`;
  };

  it("are computed on the rung that fits their size", () => {
    expect({
      tiny: choice(5, 7, 3),
      small: choice(64, 64, 64),
      outer: choice(1024, 4096, 1),
      vector: choice(1, 768, 3072),
      "vector, transposed": choice(1, 768, 3072, "NT"),
      "few columns": choice(8192, 3, 768),
      product: choice(1, 1, 2 ** 20, "NT"),
      medium: choice(96, 96, 768),
      head: choice(128, 128, 64, "NT", 96),
      large: choice(8192, 768, 3072),
      "weight gradient": choice(256, 256, 8192, "TN"),
      uneven: choice(65, 8192, 768),
    }).toMatchInlineSnapshot(`
      {
        "few columns": "gemv of 4 columns, neighbours along k, 2048 workgroups",
        "head": "quads, tiles of 64, 384 workgroups",
        "large": "quads, tiles of 64, 1536 workgroups",
        "medium": "quads, tiles of 32, 27 workgroups, slices of 256",
        "outer": "direct, 65536 workgroups",
        "product": "gemv of 1 rows, neighbours along k, 256 workgroups, slices of 4096",
        "small": "direct, 64 workgroups",
        "tiny": "direct, 1 workgroups",
        "uneven": "quads, tiles of 32, 768 workgroups",
        "vector": "gemv of 1 rows, neighbours along wide, 192 workgroups, slices of 1536",
        "vector, transposed": "gemv of 1 rows, neighbours along k, 192 workgroups",
        "weight gradient": "quads, tiles of 64, 512 workgroups, slices of 256",
      }
    `);
  });

  it("are summed in registers where workgroup memory is no faster, unless operands are computed", () => {
    const on = (rows: number, columns: number, inner: number): string =>
      choice(rows, columns, inner, "NN", 1, SOFTWARE);
    expect([on(1, 768, 3072), on(64, 256, 768), on(8192, 768, 3072), on(96, 96, 4096)]).toEqual([
      "gemv of 1 rows, neighbours along wide, 96 workgroups",
      "registers, 8 by 8, 12 workgroups, slices of 256",
      "registers, 8 by 8, 1536 workgroups",
      "registers, 4 by 4, 9 workgroups",
    ]);
    const subgroups = { ...SOFTWARE, subgroups: { min: 4, max: 8 } };
    expect(choice(3, 768, 3072, "NN", 1, subgroups)).toBe("subgroups, 4 rows, along wide, 12 workgroups");
    // Too few to fill a workgroup, or subgroups that are larger than one.
    expect(choice(3, 60, 3072, "NN", 1, subgroups)).toMatch(/^gemv/);
    expect(choice(3, 768, 3072, "NN", 1, { ...SOFTWARE, subgroups: { min: 4, max: 128 } })).toMatch(/^gemv/);
    expect(choice(3, 768, 3072, "NN", 1, { ...subgroups, software: false })).toMatch(/^gemv/);
    const layout: DotLayout = { left: "k", right: "k", computed: true };
    expect(chooseDot({ batch: 1, rows: 64, columns: 256, inner: 768 }, layout, SOFTWARE).rung.kind).toBe(
      "tile",
    );
  });

  it.each([
    [1, 70, 600],
    [2, 2, 700],
    [70, 4, 2100],
    [9, 9, 2000],
    [20, 100, 300],
  ])("of %i × %i, summed over %i, are right as chosen", async (rows, columns, inner) => {
    const shape = { batch: 1, rows, columns, inner };
    for (const name of Object.keys(STORAGES) as readonly Name[])
      for (const limits of [MINIMUM_LIMITS, SOFTWARE])
        await check(host, name, shape, chooseDot(shape, layoutOf(STORAGES[name]), limits));
  });

  it("need no more than every adapter has", () => {
    for (const rung of Object.values(RUNGS)) {
      const shape = { batch: 1, rows: 70, columns: 70, inner: 70 };
      for (const { kernel } of routineOf(STORAGES.NN, shape, launchDot(shape, rung, 2)).stages) {
        const bytes = kernel.shared.reduce((sum, { length }) => sum + 4 * length, 0);
        expect(bytes).toBeLessThanOrEqual(MINIMUM_LIMITS.sharedBytes);
        expect(kernel.lanes).toBeLessThanOrEqual(MINIMUM_LIMITS.lanes);
      }
    }
  });
});
