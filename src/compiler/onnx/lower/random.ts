/**
 * Lowering of threefry-2x32 with 20 rounds (Salmon et al. 2011). A rotation is a multiplication by a power of
 * two (the fastest u32 op that shifts left), a right shift, and an addition of the two, whose bits do not
 * meet: measured a quarter faster than two shifts and an or.
 *
 * Consumed by `index.ts`. Tested bit for bit against the interpreter.
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import { graph, int, string } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import { broadcastShapes } from "../value.ts";
import type { Value } from "../value.ts";
import { graphOf, stored } from "./control.ts";
import type { LowerRule } from "./rule.ts";
import { sliceAxes } from "./structural.ts";

const ROTATIONS = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;
const PARITY = 0x1bd11bda;

const word = (emit: Emitter, value: number): Value => emit.scalar(ElementType.uint32, value);
const add = (emit: Emitter, a: Value, b: Value): Value => emit.elementwise("Add", [a, b]);
const xor = (emit: Emitter, a: Value, b: Value): Value => emit.elementwise("BitwiseXor", [a, b]);

function rotateLeft(emit: Emitter, x: Value, by: number): Value {
  const high = emit.elementwise("Mul", [x, word(emit, 2 ** by)]);
  const low = emit.elementwise("BitShift", [x, word(emit, 32 - by)], {
    attributes: { direction: string("RIGHT") },
  });
  return add(emit, high, low);
}

type Block = readonly [Value, Value];

function threefry(emit: Emitter, [key0, key1]: Block, [counter0, counter1]: Block): Block {
  const schedule = [key0, key1, xor(emit, xor(emit, key0, key1), word(emit, PARITY))] as const;
  const key = (group: number): Value => schedule[(group % 3) as 0 | 1 | 2];
  let [a, b] = [add(emit, counter0, key0), add(emit, counter1, key1)];
  for (let group = 1; group <= 5; group++) {
    for (const rotation of ROTATIONS[((group - 1) % 2) as 0 | 1]) {
      a = add(emit, a, b);
      b = xor(emit, rotateLeft(emit, b, rotation), a);
    }
    a = add(emit, a, key(group));
    // The key word and the group's number are usually scalars: their sum costs nothing next to one over all.
    b = add(emit, b, add(emit, key(group + 1), word(emit, group)));
  }
  return [a, b];
}

/**
 * Blocks per piece of a long run. The 110 ops of a piece go over the same few arrays, which then stay in the
 * processor's cache; shorter pieces would be too short for two threads.
 */
const PIECE = 2 ** 17;

/** The same over pieces, one after the other: a Scan over rows. Keys and counters that are single numbers stay so. */
function inPieces(emit: Emitter, operands: readonly Value[], shape: readonly number[]): Block {
  const count = sizeOf(shape);
  const rows = Math.ceil(count / PIECE);
  const columns = Math.ceil(count / rows);
  const matrix = (value: Value): Value => {
    const flat = emit.whole(emit.reshape(value, [count]));
    const missing = rows * columns - count;
    if (missing === 0) return emit.whole(emit.reshape(flat, [rows, columns]));
    const padded = emit.make("Pad", [flat.name, emit.indices([0, missing])], flat.element, [rows * columns]);
    return emit.whole(emit.reshape(padded, [rows, columns]));
  };
  const sources = operands.filter(({ held }) => held.length > 0).map(matrix);
  const inner = emit.child();
  const piece = (): Value => stored(inner.fresh("piece"), { dtype: "u32", shape: [columns] });
  const pieces = sources.map(piece);
  const waiting = [...pieces];
  const inside = operands.map((value) =>
    value.held.length > 0 ? (waiting.shift() as Value) : { ...value, shape: [] },
  );
  const [key0, key1, counter0, counter1] = inside as [Value, Value, Value, Value]; // as many as operands
  const results = threefry(inner, [key0, key1], [counter0, counter1]);
  const attributes = {
    body: graph(graphOf(inner, "threefry body", pieces, results)),
    num_scan_inputs: int(sources.length),
  };
  const names = emit.node(
    "Scan",
    sources.map((value) => value.name),
    attributes,
    2,
  );
  const whole = (name: string): Value => {
    const all = emit.reshape(stored(name, { dtype: "u32", shape: [rows, columns] }), [rows * columns]);
    return emit.reshape(sliceAxes(emit, all, [{ axis: 0, start: 0, stop: count, step: 1 }]), shape);
  };
  return [whole(names[0] as string), whole(names[1] as string)]; // two were asked for
}

export const lowerThreefry: LowerRule<"threefry"> = ({ emit, outputs }, inputs) => {
  const [key0, key1, counter0, counter1] = inputs as readonly [Value, Value, Value, Value]; // verified
  const shape = outputs[0]?.shape ?? []; // threefry has two outputs of one shape
  const varying = sizeOf(broadcastShapes(inputs.map((input) => input.held)));
  if (varying === sizeOf(shape) && varying >= 2 * PIECE) return inPieces(emit, inputs, shape);
  return threefry(emit, [key0, key1], [counter0, counter1]);
};
