/** What nothing uses is left out of kernels, and nothing else. */
import { expect, it } from "vitest";
import { KernelBuilder, LANE, binary, index, literal, plus } from "../../../src/compiler/kernel/builder.ts";
import type { Expr, Statement } from "../../../src/compiler/kernel/ir.ts";
import { withoutUnused } from "../../../src/compiler/kernel/unused.ts";

/** The names that statements bind, also inside of loops and conditions. */
const bound = (statements: readonly Statement[]): readonly string[] =>
  statements.flatMap((s) =>
    s.kind === "let" || s.kind === "var"
      ? [s.name]
      : s.kind === "threefry"
        ? s.names
        : s.kind === "for"
          ? [s.name, ...bound(s.body)]
          : s.kind === "if"
            ? ["if", ...bound(s.body), ...bound(s.otherwise)]
            : [],
  );

it("keeps what stores need, from where it is bound", () => {
  const builder = new KernelBuilder();
  const out = builder.buffer({ dtype: "u32", access: "readWrite" });
  const load = (at: Expr): Expr => ({ kind: "load", type: "u32", buffer: out, at });
  const needed = builder.let(plus(LANE, index(1)), "needed");
  builder.let(load(needed), "unused");
  const chain = builder.let(plus(LANE, index(2)), "chain");
  builder.let(plus(chain, index(3)), "end");
  const sum = builder.variable(index(0), "sum");
  builder.for(index(0), index(5), index(1), (i) => {
    const before = builder.let(plus(sum, i), "before");
    builder.let(plus(before, i), "inside");
    builder.assign(sum, before);
  });
  builder.for(index(0), index(5), index(1), (i) => void builder.let(plus(i, LANE), "alone"));
  builder.if(
    binary("less", LANE, literal("u32", 2)),
    () => void builder.let(plus(LANE, index(7)), "nothing"),
  );
  for (const name of ["used", "idle"]) {
    const names = [`${name}One`, `${name}Two`] as const;
    builder.emit({ kind: "threefry", names, key: [LANE, LANE], counter: [LANE, LANE] });
  }
  builder.barrier();
  const word: Expr = { kind: "name", type: "u32", name: "usedTwo" };
  builder.if(binary("less", LANE, needed), () =>
    builder.emit({ kind: "store", buffer: out, at: needed, value: plus(sum, word) }),
  );
  const part = { role: "left", rows: 8, columns: 8, element: "f32" } as const;
  const halves = builder.buffer({ dtype: "f32", access: "read" });
  const from = (at: Expr) =>
    ({ memory: { kind: "buffer", position: halves }, at, stride: index(8), order: "row-major" }) as const;
  builder.loadFragment(part, from(builder.let(plus(LANE, index(9)), "idleAt")));
  const left = builder.loadFragment(part, from(builder.let(plus(LANE, index(8)), "usedAt")));
  builder.emit({ kind: "multiplyAccumulate", accumulator: builder.zeroFragment(part), left, right: left });
  const kernel = builder.finish("test", 4);
  const { body } = withoutUnused(kernel);
  expect(bound(body).map((name) => name.replace(/\d+$/, ""))).toEqual([
    "needed", "sum", "i", "before", "usedOne", "usedTwo", "if", "usedAt",
  ]); // prettier-ignore
  expect(body.filter(({ kind }) => kind === "loadFragment")).toHaveLength(1);
  expect(body.filter(({ kind }) => kind === "barrier")).toHaveLength(1);
  expect(withoutUnused({ ...kernel, body }).body).toEqual(body);
});
