/** Random inputs for timing: of the right types, in range, and the same every time. */
import { expect, it } from "vitest";
import { randomInputs } from "../../../src/runtime/webgpu/random-inputs.ts";
import { toNumbers } from "../../../src/compiler/host-tensor.ts";
import { DTYPES } from "../../../src/dsl/types/dtype.ts";

it("fit their types, and what their whole numbers index", () => {
  const types = [...DTYPES, "i32" as const].map((dtype) => ({ dtype, shape: [20, 30] }));
  const inputs = randomInputs(types, (position) => (position === types.length - 1 ? 7 : undefined));
  expect(inputs.map(({ dtype, shape }) => ({ dtype, shape }))).toEqual(types);
  inputs.forEach((input, position) => {
    const numbers = toNumbers(input);
    expect(numbers).toHaveLength(600);
    const distinct = [...new Set(numbers)].sort((a, b) => a - b);
    if (input.dtype === "f32" || input.dtype === "f16") {
      expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0.0099);
      expect(Math.max(...numbers)).toBeLessThanOrEqual(0.1001);
    } else if (input.dtype === "u32") expect(Math.max(...numbers)).toBeGreaterThan(2 ** 31);
    else expect(distinct).toEqual(position === types.length - 1 ? [0, 1, 2, 3, 4, 5, 6] : [0, 1]);
  });
  expect(randomInputs(types, () => 7)[0]).toEqual(inputs[0]);
});
