// The cost of shape checking: 400 attention blocks, every one with sizes and names of its own, so that no
// result is reused.

import { expect, it } from "vitest";
import { compile, errorsIn, SURFACE } from "./compile.ts";

const block = (i: number): string => {
  const [batch, length, heads, dim] = [`"batch${i}"`, 32 + i, 2 + (i % 7), 16 + i];
  const x = `Tensor<[${batch}, ${length}, ${heads}, ${dim}], "f32">`;
  return `
    type Projection${i} = Tensor<[${heads}, ${dim}, ${dim}], "f32">;
    const block${i} = (x: ${x}, wq: Projection${i}, wo: Tensor<[${dim}, ${dim}], "f32">) => {
      const query = einsum("b l h d, h d e -> b l h e", x, wq);
      const score = einsum("b l h d, b m h d -> b h l m", query, x);
      const mixed = einsum("b h l m, b m h d -> b l h d", score, x);
      return add(matmul(mixed, wo), x);
    };
    same<ReturnType<typeof block${i}>, ${x}>(true);`;
};

it("checks 1,200 einsums, 400 matmuls and 400 adds in at most 1.2 million instantiations", () => {
  const blocks = Array.from({ length: 400 }, (_, i) => block(i));
  const { output, instantiations, seconds } = compile(SURFACE + blocks.join("\n"));
  console.log(`400 attention blocks: ${instantiations} instantiations, ${seconds} s`);
  expect(errorsIn(output)).toBe("");
  expect(instantiations).toBeLessThan(1_200_000);
}, 60_000);
