/** `fluxion tune`: its table, and what it says of a step that there is not. Tuning itself is tested on the device. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { dotCandidates } from "../../src/compiler/schedule/dot/candidates.ts";
import { MINIMUM_LIMITS } from "../../src/compiler/kernel/plan.ts";
import type { DotConfig } from "../../src/compiler/schedule/dot/dot.ts";
import { tunedText } from "../../src/cli/commands/tune.ts";
import { fluxion } from "../support/cli.ts";

it("prints what the heuristic says, what is best, and what went wrong", () => {
  const shape = { batch: 1, rows: 40, columns: 40, inner: 600 };
  const layout = { left: "k", right: "k" } as const;
  const [first, second, third] = dotCandidates(shape, layout, MINIMUM_LIMITS) as [DotConfig, DotConfig, DotConfig]; // prettier-ignore
  const heuristic = { config: first, nanoseconds: 3000, problem: undefined };
  const best = { config: second, nanoseconds: 1500, problem: undefined };
  const dropped = { config: third, nanoseconds: undefined, problem: "the driver\u001b[2J gave up" };
  const dot = { shape, layout, problem: undefined };
  const text = tunedText([
    { ...dot, key: "one", measured: [heuristic, best, dropped], kept: best },
    { ...dot, key: "two", measured: [heuristic], kept: undefined },
    { ...dot, key: "three", measured: [], kept: undefined, problem: "too large" },
  ]);
  expect(text).toMatchInlineSnapshot(`
    "batch x rows x columns x inner, up to; operands along  heuristic                                                       best                                                           ratio
    one                                                    quads, tiles of 32 by 8 x 8 lanes, 16 deep, 2 slices (3.00 µs)  quads, tiles of 64 by 8 x 8 lanes, 8 deep, 2 slices (1.50 µs)  2.00
    two                                                    quads, tiles of 32 by 8 x 8 lanes, 16 deep, 2 slices (3.00 µs)  the heuristic's                                                1.00
    three                                                  not tuned: too large

    1 of 3 dots will be computed otherwise.
    one: quads, tiles of 64 by 8 x 8 lanes, 16 deep, 2 slices was dropped: the driver [2J gave up"
  `);
});

it("says that its results cannot be written before it finds any", async () => {
  const file = fileURLToPath(import.meta.url);
  const { code, stdout, stderr } = await fluxion([
    "tune",
    "flm-step",
    "--preset",
    "quick",
    "--cache",
    `${file}/x`,
  ]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(
    /^fluxion: .*tune\.test\.ts\/x\/tuned-dots-\d+\.json .*a part of the path is a file/m,
  );
  expect(stderr).not.toContain("tuning");
});

it("needs a step that there is", async () => {
  expect(await fluxion(["tune", "loss"])).toMatchObject({
    code: 2,
    stderr:
      'fluxion: there is no step "loss"; choose one of flm-step, fmlm-step, sampler-step, or give a run folder\n',
  });
});
