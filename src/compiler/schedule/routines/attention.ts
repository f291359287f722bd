/**
 * Attention, its tangent and its transpose as routines that never store scores: which kernels run, and on what.
 * Consumed by the table of routines. attention-choice.ts says when, and with which tiles.
 */
import type { AttentionParams } from "../../../dsl/program/program.ts";
import type { Kernel } from "../../kernel/ir.ts";
import type { TargetLimits } from "../../kernel/plan.ts";
import { workgroupsFor } from "../elements.ts";
import { MOST_IN_BLOCK, blockDemand, blockKernel } from "./attention-block.ts";
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

/** A pass over blocks of rows. */
function pass(
  shape: AttentionShape,
  demand: FlashDemand,
  tile: FlashTile,
  kernel: Kernel,
  buffers: readonly RoutineBuffer[],
): Stage {
  const { batch, queries, keys } = shape;
  const { depths, sides, accumulators } = demand;
  // Each side after the first adds two products to that of q and k.
  const products = depths.reduce((sum, columns) => sum + (2 * sides - 1) * columns, 0);
  const columns = demand.values.reduce((sum, columns) => sum + columns, 0);
  void accumulators;
  return {
    kernel,
    buffers,
    params: paramsOf(shape),
    workgroups: blocksOf(tile, demand, batch),
    flops: 2 * batch * queries * keys * (products + columns),
  };
}

const inputs = (...positions: readonly number[]): readonly RoutineBuffer[] =>
  positions.map((input) => ({ input }));
const outputs = (...positions: readonly number[]): readonly RoutineBuffer[] =>
  positions.map((output) => ({ output }));

export const attention: RoutineRule<"attention"> = (types, params, _outputs, limits) => {
  const shape = attentionShape(types);
  const demand = forwardDemand(shape);
  const tile = chooseTile(demand, limits);
  const kernel = forwardKernel(shape, params, tile);
  const buffers = [...inputs(0, 1, 2), ...outputs(0, 1)];
  return { temporaries: [], stages: [pass(shape, demand, tile, kernel, buffers)] };
};

export const attentionTangent: RoutineRule<"attentionTangent"> = (types, params, _outputs, limits) => {
  const shape = attentionShape(types);
  const demand = tangentDemand(shape);
  const tile = chooseTile(demand, limits);
  const operands = inputs(0, 1, 2, 4, 5, 6, 7);
  const whole = limits.buffers >= WHOLE_TANGENT_BUFFERS;
  const kernel = tangentKernel(shape, params, tile, whole);
  if (whole) {
    const buffers = [...operands, ...inputs(3), ...outputs(0, 1)];
    return { temporaries: [], stages: [pass(shape, demand, tile, kernel, buffers)] };
  }
  const parts = { temporary: 0 };
  const elements = shape.batch * shape.queries * shape.width;
  const end: Stage = {
    kernel: tangentEnd(shape),
    buffers: [parts, ...inputs(3), ...outputs(0, 1)],
    params: [elements],
    workgroups: workgroupsFor(elements, TANGENT_END_LANES),
    flops: 2 * elements,
  };
  return {
    temporaries: [partsType(shape)],
    stages: [pass(shape, demand, tile, kernel, [...operands, parts]), end],
  };
};

export const attentionTranspose: RoutineRule<"attentionTranspose"> = (types, params, _outputs, limits) => {
  const shape = attentionShape(types);
  return transposeInBlock(shape, params, limits) ?? transposeInPasses(shape, params, limits);
};

function transposeInBlock(
  shape: AttentionShape,
  params: AttentionParams,
  limits: TargetLimits,
): Routine | undefined {
  const demand = blockDemand(shape);
  const tile = chooseBlock(demand, limits, MOST_IN_BLOCK);
  if (tile === undefined) return undefined;
  const kernel = blockKernel(shape, params, tile);
  const buffers = [...inputs(0, 1, 2, 5, 6), ...outputs(0, 1, 2)];
  return { temporaries: [], stages: [pass(shape, demand, tile, kernel, buffers)] };
}

function transposeInPasses(shape: AttentionShape, params: AttentionParams, limits: TargetLimits): Routine {
  const { batch, queries, width } = shape;
  const [ofQuery, ofKeys] = [queryDemand(shape), keyDemand(shape)];
  const [queryTile, keyTile] = [chooseTile(ofQuery, limits), chooseTile(ofKeys, limits)];
  const [delta, statistics] = [{ temporary: 0 }, { temporary: 1 }];
  const first: Stage = {
    kernel: deltaKernel(shape),
    buffers: [...inputs(3, 5, 6), delta],
    params: [batch * queries, width],
    workgroups: workgroupsFor(batch * queries, DELTA_LANES),
    flops: 2 * batch * queries * width,
  };
  return {
    temporaries: [deltaType(shape), statisticsType(shape)],
    stages: [
      first,
      pass(shape, ofQuery, queryTile, queryKernel(shape, params, queryTile), [
        ...inputs(0, 1, 2, 4, 5),
        delta,
        ...outputs(0),
        statistics,
      ]),
      pass(shape, ofKeys, keyTile, keyKernel(shape, params, keyTile), [
        ...inputs(0, 1, 2, 5),
        statistics,
        ...outputs(1, 2),
      ]),
    ],
  };
}
