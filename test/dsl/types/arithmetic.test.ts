// Type-level sums, differences, products and quotients against JavaScript's.

import fc from "fast-check";
import { expect, it } from "vitest";
import { compile, errorsIn, SURFACE } from "./compile.ts";

const size = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 70_000 }));
const edges: [number, number][] = [
  [0, 0],
  [0, 7],
  [7, 0],
  [1, 1],
  [9, 1],
  [99, 1],
  [999, 9],
  [1000, 1],
  [100, 10],
  [512, 8],
  [50257, 768],
];
const pairs = [...edges, ...fc.sample(fc.tuple(size, size), { numRuns: 120, seed: 2 })];

it("agrees with JavaScript on literals", () => {
  const cases = pairs.flatMap(([a, b]) => [
    `same<t.Add<${a}, ${b}>, ${a + b}>(true);`,
    `same<t.Multiply<${a}, ${b}>, ${a * b}>(true);`,
    `same<t.Subtract<${a}, ${b}>, ${a < b ? "never" : a - b}>(true);`,
    `same<t.Divide<${a}, ${b}>, ${b === 0 || a % b !== 0 ? "never" : a / b}>(true);`,
    `same<t.Divide<${a * b}, ${b}>, ${b === 0 ? "never" : a}>(true);`,
  ]);
  const { byLine } = compile(SURFACE + cases.join("\n"));
  const prologue = SURFACE.split("\n").length;
  expect([...byLine.keys()].map((line) => cases[line - prologue] ?? byLine.get(line))).toEqual([]);
}, 60_000);

it("gives number for whatever is no literal non-negative integer", () => {
  const unknown = ["number", "string", "t.Dim", `"batch"`, "-2", "2.5", "1e21"];
  const cases = unknown.flatMap((d) =>
    ["Add", "Subtract", "Multiply", "Divide"].flatMap((op) => [
      `same<t.${op}<${d}, 64>, number>(true);`,
      `same<t.${op}<64, ${d}>, number>(true);`,
    ]),
  );
  const ones = [
    `same<t.Multiply<"n", 1>, "n">(true);`,
    `same<t.Multiply<1, "n">, "n">(true);`,
    `same<t.Divide<"n", 1>, "n">(true);`,
  ];
  expect(errorsIn(compile(SURFACE + [...cases, ...ones].join("\n")).output)).toBe("");
}, 60_000);
