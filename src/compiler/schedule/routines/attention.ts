/**
 * Attention, its tangent and its transpose as routines that never store scores: which kernels run, and on what.
 * Consumed by the table of routines. attention-choice.ts says when, and with which tiles.
 */
import type { AttentionParams } from "../../../dsl/program/program.ts";
import type { Kernel } from "../../kernel/ir.ts";
import type { TargetLimits } from "../../kernel/plan.ts";
import { workgroupsFor } from "../elements.ts";
import { blockDemand, blockKernel } from "./attention-block.ts";
import { chooseBlock, chooseQuads, chooseTile } from "./attention-choice.ts";
import { forwardDemand, forwardKernel } from "./attention-forward.ts";
import { attentionShape, paramsOf } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
import { quadForward } from "./attention-quad-forward.ts";
import { quadTangent } from "./attention-quad-tangent.ts";
import { quadBlocks } from "./attention-quad-tile.ts";
import type { QuadTile } from "./attention-quad-tile.ts";
import { quadKeys, quadQueries } from "./attention-quad-transpose.ts";
import {
  TANGENT_END_LANES,
  WHOLE_TANGENT_BUFFERS,
  partsType,
  tangentDemand,
  tangentEnd,
  tangentKernel,
} from "./attention-tangent.ts";
import { blocksOf } from "./attention-tile.ts";
import type { FlashDemand, FlashTile } from "./attention-tile.ts";
import {
  DELTA_LANES,
  deltaKernel,
  deltaType,
  keyDemand,
  keyKernel,
  queryDemand,
  queryKernel,
  statisticsType,
} from "./attention-transpose.ts";
import type { Routine, RoutineBuffer, RoutineRule, Stage } from "./routine.ts";

/** A pass over blocks of rows. `columns` are multiplied and added for each pair of a query and a key. */
function pass(
  shape: AttentionShape,
  { kernel, workgroups }: Pick<Stage, "kernel" | "workgroups">,
  buffers: readonly RoutineBuffer[],
  columns: number,
): Stage {
  const { batch, queries, keys } = shape;
  return {
    kernel,
    buffers,
    params: paramsOf(shape),
    workgroups,
    flops: 2 * batch * queries * keys * columns,
  };
}

/** The kernel of a pass in the tile that serves it best. */
function chosen(
  shape: AttentionShape,
  demand: FlashDemand,
  make: (tile: FlashTile) => Kernel,
): Pick<Stage, "kernel" | "workgroups"> {
  const tile = chooseTile(demand);
  return { kernel: make(tile), workgroups: blocksOf(tile, demand, shape.batch) };
}

/** The same with a tile of quads, where there is one. @param held rows of the kind that workgroups hold */
function inQuads(
  shape: AttentionShape,
  held: number,
  limits: TargetLimits,
  make: (tile: QuadTile) => Kernel,
): Pick<Stage, "kernel" | "workgroups"> | undefined {
  const tile = chooseQuads(shape, limits);
  return tile && { kernel: make(tile), workgroups: quadBlocks(tile, shape.batch, held) };
}

const inputs = (...positions: readonly number[]): readonly RoutineBuffer[] =>
  positions.map((input) => ({ input }));
const outputs = (...positions: readonly number[]): readonly RoutineBuffer[] =>
  positions.map((output) => ({ output }));

export const attention: RoutineRule<"attention"> = (types, params, _outputs, limits) => {
  const shape = attentionShape(types);
  const kernel =
    inQuads(shape, shape.queries, limits, (tile) => quadForward(shape, params, tile)) ??
    chosen(shape, forwardDemand(shape), (tile) => forwardKernel(shape, params, tile));
  const buffers = [...inputs(0, 1, 2), ...outputs(0, 1)];
  return { temporaries: [], stages: [pass(shape, kernel, buffers, shape.depth + shape.width)] };
};

export const attentionTangent: RoutineRule<"attentionTangent"> = (types, params, _outputs, limits) => {
  const shape = attentionShape(types);
  const { batch, queries, depth, width } = shape;
  const whole = limits.buffers >= WHOLE_TANGENT_BUFFERS;
  const kernel =
    inQuads(shape, queries, limits, (tile) => quadTangent(shape, params, tile, whole)) ??
    chosen(shape, tangentDemand(shape), (tile) => tangentKernel(shape, params, tile, whole));
  const operands = inputs(0, 1, 2, 4, 5, 6, 7);
  const columns = 3 * depth + 2 * width;
  if (whole) {
    const buffers = [...operands, ...inputs(3), ...outputs(0, 1)];
    return { temporaries: [], stages: [pass(shape, kernel, buffers, columns)] };
  }
  const parts = { temporary: 0 };
  const elements = batch * queries * width;
  const end: Stage = {
    kernel: tangentEnd(shape),
    buffers: [parts, ...inputs(3), ...outputs(0, 1)],
    params: [elements],
    workgroups: workgroupsFor(elements, TANGENT_END_LANES),
    flops: 2 * elements,
  };
  const first = pass(shape, kernel, [...operands, parts], columns);
  return { temporaries: [partsType(shape)], stages: [first, end] };
};

export const attentionTranspose: RoutineRule<"attentionTranspose"> = (types, params, _outputs, limits) => {
  const shape = attentionShape(types);
  return transposeInBlock(shape, params) ?? transposeInPasses(shape, params, limits);
};

function transposeInBlock(shape: AttentionShape, params: AttentionParams): Routine | undefined {
  const demand = blockDemand(shape);
  const tile = chooseBlock(demand);
  if (tile === undefined) return undefined;
  const kernel = blockKernel(shape, params, tile);
  const workgroups = blocksOf(tile, demand, shape.batch);
  const buffers = [...inputs(0, 1, 2, 5, 6), ...outputs(0, 1, 2)];
  const columns = 3 * shape.depth + 2 * shape.width;
  return { temporaries: [], stages: [pass(shape, { kernel, workgroups }, buffers, columns)] };
}

function transposeInPasses(shape: AttentionShape, params: AttentionParams, limits: TargetLimits): Routine {
  const { batch, queries, keys, depth, width } = shape;
  const [delta, statistics] = [{ temporary: 0 }, { temporary: 1 }];
  const first: Stage = {
    kernel: deltaKernel(shape),
    buffers: [...inputs(3, 5, 6), delta],
    params: [batch * queries, width],
    workgroups: workgroupsFor(batch * queries, DELTA_LANES),
    flops: 2 * batch * queries * width,
  };
  const ofQueries = (): Stage => {
    const kernel =
      inQuads(shape, queries, limits, (tile) => quadQueries(shape, params, tile)) ??
      chosen(shape, queryDemand(shape), (tile) => queryKernel(shape, params, tile));
    const buffers = [...inputs(0, 1, 2, 4, 5), delta, ...outputs(0), statistics];
    return pass(shape, kernel, buffers, 2 * depth + width);
  };
  const ofKeys = (): Stage => {
    const kernel =
      inQuads(shape, keys, limits, (tile) => quadKeys(shape, params, tile)) ??
      chosen(shape, keyDemand(shape), (tile) => keyKernel(shape, params, tile));
    const buffers = [...inputs(0, 1, 2, 5), statistics, ...outputs(1, 2)];
    return pass(shape, kernel, buffers, 2 * depth + 2 * width);
  };
  return {
    temporaries: [deltaType(shape), statisticsType(shape)],
    stages: [first, ofQueries(), ofKeys()],
  };
}
