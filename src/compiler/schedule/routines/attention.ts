/**
 * Attention, its tangent and its transpose as routines that never store scores: which kernels run, and on what.
 * Consumed by the table of routines. attention-choice.ts says when, and with which tiles.
 */
import type { AttentionParams } from "../../../dsl/program/program.ts";
import type { Kernel } from "../../kernel/ir.ts";
import { workgroupsFor } from "../elements.ts";
import { blockDemand, blockKernel } from "./attention-block.ts";
import { chooseBlock, chooseTile } from "./attention-choice.ts";
import { forwardDemand, forwardKernel } from "./attention-forward.ts";
import { attentionShape, paramsOf } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
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
  demand: FlashDemand,
  tile: FlashTile,
  kernel: Kernel,
  buffers: readonly RoutineBuffer[],
  columns: number,
): Stage {
  const { batch, queries, keys } = shape;
  return {
    kernel,
    buffers,
    params: paramsOf(shape),
    workgroups: blocksOf(tile, demand, batch),
    flops: 2 * batch * queries * keys * columns,
  };
}

const inputs = (...positions: readonly number[]): readonly RoutineBuffer[] =>
  positions.map((input) => ({ input }));
const outputs = (...positions: readonly number[]): readonly RoutineBuffer[] =>
  positions.map((output) => ({ output }));

export const attention: RoutineRule<"attention"> = (types, params) => {
  const shape = attentionShape(types);
  const demand = forwardDemand(shape);
  const tile = chooseTile(demand);
  const kernel = forwardKernel(shape, params, tile);
  const buffers = [...inputs(0, 1, 2), ...outputs(0, 1)];
  return { temporaries: [], stages: [pass(shape, demand, tile, kernel, buffers, shape.depth + shape.width)] };
};

export const attentionTangent: RoutineRule<"attentionTangent"> = (types, params, _outputs, limits) => {
  const shape = attentionShape(types);
  const { batch, queries, depth, width } = shape;
  const demand = tangentDemand(shape);
  const tile = chooseTile(demand);
  const whole = limits.buffers >= WHOLE_TANGENT_BUFFERS;
  const kernel = tangentKernel(shape, params, tile, whole);
  const operands = inputs(0, 1, 2, 4, 5, 6, 7);
  const columns = 3 * depth + 2 * width;
  if (whole) {
    const buffers = [...operands, ...inputs(3), ...outputs(0, 1)];
    return { temporaries: [], stages: [pass(shape, demand, tile, kernel, buffers, columns)] };
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
  const first = pass(shape, demand, tile, kernel, [...operands, parts], columns);
  return { temporaries: [partsType(shape)], stages: [first, end] };
};

export const attentionTranspose: RoutineRule<"attentionTranspose"> = (types, params) => {
  const shape = attentionShape(types);
  return transposeInBlock(shape, params) ?? transposeInPasses(shape, params);
};

function transposeInBlock(shape: AttentionShape, params: AttentionParams): Routine | undefined {
  const demand = blockDemand(shape);
  const tile = chooseBlock(demand);
  if (tile === undefined) return undefined;
  const kernel = blockKernel(shape, params, tile);
  const buffers = [...inputs(0, 1, 2, 5, 6), ...outputs(0, 1, 2)];
  const columns = 3 * shape.depth + 2 * shape.width;
  return { temporaries: [], stages: [pass(shape, demand, tile, kernel, buffers, columns)] };
}

function transposeInPasses(shape: AttentionShape, params: AttentionParams): Routine {
  const { batch, queries, depth, width } = shape;
  const [delta, statistics] = [{ temporary: 0 }, { temporary: 1 }];
  const first: Stage = {
    kernel: deltaKernel(shape),
    buffers: [...inputs(3, 5, 6), delta],
    params: [batch * queries, width],
    workgroups: workgroupsFor(batch * queries, DELTA_LANES),
    flops: 2 * batch * queries * width,
  };
  const ofQueries = (): Stage => {
    const demand = queryDemand(shape);
    const tile = chooseTile(demand);
    const buffers = [...inputs(0, 1, 2, 4, 5), delta, ...outputs(0), statistics];
    return pass(shape, demand, tile, queryKernel(shape, params, tile), buffers, 2 * depth + width);
  };
  const ofKeys = (): Stage => {
    const demand = keyDemand(shape);
    const tile = chooseTile(demand);
    const buffers = [...inputs(0, 1, 2, 5), statistics, ...outputs(1, 2)];
    return pass(shape, demand, tile, keyKernel(shape, params, tile), buffers, 2 * depth + 2 * width);
  };
  return {
    temporaries: [deltaType(shape), statisticsType(shape)],
    stages: [first, ofQueries(), ofKeys()],
  };
}
