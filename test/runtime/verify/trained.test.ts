/**
 * Residuals of a trained flow map: 0 at the exact map, those of the teacher for a student that has learned nothing yet, and each that a
 * mistake concerns away from 0.
 */
import { describe, expect, it } from "vitest";
import { exactTensor } from "../../../src/compiler/host-tensor.ts";
import type { Fn, Tensor } from "../../../src/dsl/index.ts";
import { add, f32, flatten, fn, mul, random, sub, u32, unflatten } from "../../../src/dsl/index.ts";
import { linear } from "../../../src/models/flow/interpolant.ts";
import { oracleMap } from "../../../src/models/flow/oracle-map.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { diagonalOf } from "../../../src/models/flow/two-time.ts";
import type { Time, TwoTimeDenoiser } from "../../../src/models/flow/two-time.ts";
import { residualsOf, TRAINED } from "../../../src/models/flow/verify/trained.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig } from "../../../src/models/networks/dit.ts";
import { initFmlm, unpackWeights } from "../../../src/models/training/programs.ts";
import type { ModelOptions } from "../../../src/models/training/programs.ts";
import { weightsSpec } from "../../../src/models/training/state.ts";
import { compile } from "../../../src/runtime/compile.ts";
import { openDevice } from "../../../src/runtime/devices.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { verifyTrained } from "../../../src/runtime/verify/trained.ts";

/** Weights of a network all of which are drawn, also those that training begins with at 0. */
function drawn(config: DitConfig, key: Tensor<[2], "u32">): unknown {
  const { leaves, tree } = flatten(
    dit(config).init(key),
    (value): value is Tensor => value !== null && typeof value === "object" && "dtype" in value,
  );
  return unflatten(
    tree,
    leaves.map((leaf, i) => add(leaf, mul(random.normal(random.foldIn(key, i), leaf.shape) as Tensor, 0.4))),
  );
}

type AnyFn = Fn<Record<string, never>, Record<string, never>>;

describe("residuals", () => {
  const oracle = corpusOracle({ vocab: 3, sequences: [[0, 1], [2, 0], [1, 1]], weights: [2, 1, 1] }); // prettier-ignore
  const exact = oracleMap(oracle, linear, { steps: 64 });
  const [rows, points] = [3, 65];
  const [from, to] = [
    [0, 0.2, 0.5],
    [0.6, 0.9, 0.8],
  ] as const;
  const timeOf = (t: Tensor): Time => ({ t, tau: t, rate: add(mul(t, 0), 1) });

  /** The worst residual of each name, of a map that has the exact flow for its teacher. */
  async function worst(map: TwoTimeDenoiser): Promise<ReadonlyMap<string, number>> {
    const device = openInterpreter();
    const program = fn(
      { x: f32(rows, 2, 3), s: f32(rows), t: f32(rows), course: f32(points, rows) },
      ({ x, s, t, course }) =>
        residualsOf(
          map,
          diagonalOf(exact),
          {
            x,
            s: timeOf(s),
            u: timeOf(mul(add(s, t), 0.5)),
            t: timeOf(t),
            data: timeOf(add(mul(s, 0), 1)),
            course: timeOf(course),
          },
          true,
        ),
    );
    const compiled = await compile(program as unknown as AnyFn, { device, name: "residuals" });
    const numbers = (shape: readonly number[], list: readonly number[]) => exactTensor("f32", shape, list);
    const outputs = (await compiled.run({
      x: numbers(
        [rows, 2, 3],
        Array.from({ length: rows * 6 }, (_, i) => Math.sin(5 * i + 1)),
      ),
      s: numbers([rows], from),
      t: numbers([rows], to),
      course: numbers(
        [points, rows],
        Array.from({ length: points }, (_, i) =>
          from.map((s, j) => s + ((to[j] ?? 0) - s) * (i / (points - 1))),
        ).flat(),
      ),
    } as never)) as unknown as Record<string, { read(): Promise<{ data: ArrayLike<number> }> }>;
    const found = new Map<string, number>();
    for (const [name, value] of Object.entries(outputs))
      found.set(name, Math.max(...Array.from((await value.read()).data)));
    return found;
  }

  it("are 0 at the exact map, up to its integration and the teacher's steps", async () => {
    const found = await worst(exact);
    expect([...found.keys()].toSorted()).toEqual(TRAINED.map(({ name }) => name as string).toSorted());
    for (const [name, residual] of found)
      expect(residual, name).toBeLessThan(name === "one jump or the teacher's steps" ? 5e-3 : 2e-4);
  });

  it.each<[string, readonly string[], readonly string[], Partial<TwoTimeDenoiser>]>([
    [
      "is the denoiser, whatever the jump",
      ["semigroup", "semigroup, KL", "Lagrangian", "Eulerian", "one jump or several"],
      ["diagonal", "diagonal, KL", "tangent", "simplex", "start of a jump"],
      { denoiser: (x, s) => exact.denoiser(x, s, s), logits: (x, s) => exact.logits?.(x, s, s) as Tensor },
    ],
    [
      "sums to less than 1",
      ["simplex", "diagonal", "tangent", "Lagrangian", "one jump or the teacher's steps"],
      ["start of a jump", "jump to the data"],
      { denoiser: (x, s, t) => mul(exact.denoiser(x, s, t), 0.9) },
    ],
    [
      "jumps from another time",
      ["diagonal", "tangent", "semigroup", "Eulerian"],
      ["simplex", "start of a jump"],
      {
        denoiser: (x, s, t) => exact.denoiser(x, timeOf(mul(s.t, 0.8)), timeOf(sub(t.t, mul(s.t, 0.2)))),
        logits: (x, s, t) =>
          exact.logits?.(x, timeOf(mul(s.t, 0.8)), timeOf(sub(t.t, mul(s.t, 0.2)))) as Tensor,
      },
    ],
  ])("of a map that %s", async (_what, wrong, right, parts) => {
    const found = await worst({ ...exact, ...parts });
    for (const name of wrong) expect(found.get(name), name).toBeGreaterThan(5e-3);
    for (const name of right) expect(found.get(name), name).toBeLessThan(1e-6);
  });
});

describe.each(["projected", "vocabulary"] as const)("verifyTrained on %s states", (space) => {
  const network = { vocab: 9, length: 3, width: 8, depth: 1, heads: 2, conditioning: 4, mlpRatio: 2 };
  const options: ModelOptions = { network, batch: 4, space, beta1: 0.9, beta2: 0.99, weightDecay: 0, clip: 1, emaDecay: 0.9 }; // prettier-ignore
  const student = { ...network, targetTime: true };

  it("a student that begins as its teacher has the teacher's residuals; tolerances judge", async () => {
    const device = await openDevice("cpu");
    const run = async (program: unknown, input: unknown): Promise<Record<string, unknown>> =>
      (await (
        await compile(program as AnyFn, { device, name: "weights" })
      ).run(input as never)) as unknown as Record<string, unknown>;
    const teacher = await run(
      fn({ key: u32(2) }, ({ key }) => drawn(network, key)),
      { key: Uint32Array.of(1, 2) },
    );
    const fmlm = (await run(initFmlm(options), { key: Uint32Array.of(3, 4), teacher })) as {
      readonly ema: unknown;
    };
    const trained = {
      options,
      student: await run(unpackWeights(student), { weights: fmlm.ema }),
      teacher,
      specs: { student: weightsSpec(student), teacher: weightsSpec(network) },
      stream: Int32Array.from({ length: 60 }, (_, i) => (i * i + 1) % 9),
    };
    const parts: string[] = [];
    const report = await verifyTrained(trained, device, {
      cases: 3,
      seed: 5,
      tolerances: { diagonal: 1e-5, "start of a jump": 1e-5, "jump to the data": 1 },
      onPart: (what, i, total) => parts.push(`${i}/${total} ${what}`),
    });
    expect(parts[0]).toBe("0/8 student, τ 0 to 0.25");
    expect(parts).toHaveLength(8);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(report).toMatchObject({
      kind: "trained flow map",
      flow: "FLM",
      device: "cpu",
      cases: 3,
      passed: true,
    });
    expect(report.leftOut).toEqual([]);
    expect(report.results.map(({ name }) => name)).toEqual(TRAINED.map(({ name }) => name));
    for (const { name, student: found, held } of report.results) {
      expect(found.ranges).toHaveLength(4);
      expect(Math.abs(found.worst - held.worst), name).toBeLessThan(1e-4);
    }
    expect(
      (
        await verifyTrained(trained, device, { cases: 2, tolerances: { "one jump or several": 0 } })
      ).results.find(({ name }) => name === "one jump or several"),
    ).toMatchObject({ tolerance: 0, passed: false });
    await expect(verifyTrained(trained, device, { tolerances: { colour: 1 } })).rejects.toThrow(
      'There is no residual "colour"; there are diagonal; ',
    );
    await device.dispose();
  });
});
