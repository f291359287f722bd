/**
 * The lowest rung: each lane sums one element of the result. For problems so small that anything else costs more, and for outer products,
 * whose time is their stores. Consumed by dot.ts.
 */
import { binary, index, literal, modulo, over, times } from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import { eachElement } from "../elements.ts";
import type { DotJob } from "./problem.ts";

export function writeDirect(
  builder: KernelBuilder,
  { extents, operands, store }: DotJob,
  lanes: number,
): void {
  const { batch, rows, columns, inner } = extents;
  eachElement(builder, lanes, times(times(batch, rows), columns), (element) => {
    const column = builder.let(modulo(element, columns));
    const rest = builder.let(over(element, columns));
    const row = builder.let(modulo(rest, rows));
    const b = builder.let(over(rest, rows));
    const sum = builder.variable(literal("f32", 0), "sum");
    builder.for(index(0), inner, index(1), (k) => {
      const product = binary("mul", operands.left(b, row, k), operands.right(b, k, column));
      builder.assign(sum, binary("add", sum, product));
    });
    store(index(0), b, row, column, sum);
  });
}
