/**
 * Lowering of threefry-2x32 with 20 rounds (Salmon et al. 2011). A rotation is a multiplication by a power of two (the fastest
 * u32 op that shifts left), a right shift, and an addition of the two, whose bits do not meet: measured a quarter faster than
 * two shifts and an or.
 *
 * Consumed by `index.ts`. Tested bit for bit against the interpreter.
 */
import { string } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import type { Value } from "../value.ts";
import type { LowerRule } from "./rule.ts";

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
  const low = emit.elementwise("BitShift", [x, word(emit, 32 - by)], { attributes: { direction: string("RIGHT") } });
  return add(emit, high, low);
}

export const lowerThreefry: LowerRule<"threefry"> = ({ emit }, inputs) => {
  const [key0, key1, counter0, counter1] = inputs as readonly [Value, Value, Value, Value]; // the verifier counts them
  const schedule = [key0, key1, xor(emit, xor(emit, key0, key1), word(emit, PARITY))] as const;
  const key = (group: number): Value => schedule[(group % 3) as 0 | 1 | 2];
  let [a, b] = [add(emit, counter0, key0), add(emit, counter1, key1)];
  for (let group = 1; group <= 5; group++) {
    for (const rotation of ROTATIONS[((group - 1) % 2) as 0 | 1]) {
      a = add(emit, a, b);
      b = xor(emit, rotateLeft(emit, b, rotation), a);
    }
    a = add(emit, a, key(group));
    // The key word and the group's number are usually scalars: their sum costs nothing next to one over all counters.
    b = add(emit, b, add(emit, key(group + 1), word(emit, group)));
  }
  return [a, b];
};
