/** What a step of a declared flow map is fed: kinds of rows in their order, and times whose parts have nothing to do with each other. */
import { expect, it } from "vitest";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import { key } from "../../../src/models/flow/host-random.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { flowMapDraw } from "../../../src/models/training/declared.ts";

it("diagonal rows come first, and start, length and a random middle of the others are independent", () => {
  const BATCH = 512;
  const map = flowMap({
    name: "mine",
    flow: flow({ name: "plain" }),
    objective: semigroup(),
    boundary: 0,
    midpoint: "random",
  });
  const { s, u, t } = flowMapDraw(map, Int32Array.from({ length: 64 }), 2, BATCH, 0, key(3));
  const [from, middle, to] = [s, u, t].map(({ tau }) => Array.from(tau)) as [number[], number[], number[]];
  expect(from.map((tau, i) => tau === to[i])).toEqual(from.map((_, i) => i < BATCH / 2));
  const rows = Array.from({ length: BATCH / 2 }, (_, i) => {
    const [a, b, c] = [from, middle, to].map((column) => column[BATCH / 2 + i]) as [number, number, number];
    return [a / (1 - (c - a)), c - a, (b - a) / (c - a)] as const;
  });
  const moment = (i: 0 | 1 | 2, j: 0 | 1 | 2): number =>
    rows.reduce((sum, row) => sum + (row[i] - 1 / 2) * (row[j] - 1 / 2), 0) / rows.length;
  for (const [i, j] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const)
    // prettier-ignore
    // Of uniform numbers: 1/12 with itself, and with another four standard errors around 0.
    expect(Math.abs(moment(i, j))).toBeLessThan(4 / 12 / Math.sqrt(rows.length));
  for (const i of [0, 1, 2] as const) expect(Math.abs(moment(i, i) - 1 / 12)).toBeLessThan(0.02);
});
