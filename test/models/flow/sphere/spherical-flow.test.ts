/** Flows on the sphere: what a declaration refuses, the law of a state, and the exact flow of a corpus. */
import { describe, expect, it } from "vitest";
import {
  constant,
  div,
  exp,
  full,
  log,
  maximum,
  mul,
  sqrt,
  square,
  sub,
  zeros,
} from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { flowMap } from "../../../../src/models/flow/flow-map.ts";
import { fold, key } from "../../../../src/models/flow/host-random.ts";
import { flow } from "../../../../src/models/flow/flow.ts";
import { semigroup } from "../../../../src/models/flow/objectives/semigroup.ts";
import { sphericalOracle } from "../../../../src/models/flow/sphere/oracle.ts";
import { greatCircle } from "../../../../src/models/flow/sphere/path.ts";
import {
  sphericalSample,
  sphericalSchedule,
  uniformNoise,
} from "../../../../src/models/flow/sphere/sample.ts";
import type { SphericalMethod } from "../../../../src/models/flow/sphere/sample.ts";
import { sphericalFlow } from "../../../../src/models/flow/sphere/spherical-flow.ts";
import type { SphericalFlow } from "../../../../src/models/flow/sphere/spherical-flow.ts";
import { foldedKeys, perKey } from "../../../../src/models/flow/samplers/world.ts";
import * as samplers from "../../../../src/models/flow/samplers/index.ts";
import { flowStep, sphericalStep } from "../../../../src/models/training/index.ts";
import { distance, evaluate, floats, list, words } from "../../../support/evaluate.ts";

const sphere = sphericalFlow({ name: "sphere" });
const late = sphericalFlow({ name: "late", path: { name: "square", kappa: (t) => square(t) } });

describe("a declaration", () => {
  const messageOf = (declare: () => unknown): string => {
    try {
      declare();
    } catch (error) {
      return (error as Error).message;
    }
    return "nothing";
  };
  it.each<[string, () => unknown]>([
    [
      'The path "cut" needs κ(1) = 1: the share of the way from noise to data is 0.9 there.',
      () => greatCircle({ name: "cut", kappa: (t) => mul(t, 0.9) }),
    ],
    [
      'The path "back" needs κ to rise all the way: κ(0.75) = 1.125 and κ(0.765625) = 1.12451171875.',
      () => sphericalFlow({ name: "", path: { name: "back", kappa: (t) => mul(t, sub(3, mul(t, 2))) } }),
    ],
    [
      'The path "root" needs a finite rate: dκ/dt is Infinity at t = 0.',
      () => greatCircle({ name: "root", kappa: (t) => sqrt(t) }),
    ],
    [
      'The spherical flow "v" predicts the clean token, of which the drift is linear: a velocity is not what its path is made of.',
      // @ts-expect-error a spherical flow predicts the clean token
      () => sphericalFlow({ name: "v", predicts: "velocity" }),
    ],
    [
      'The spherical flow "i" moves on great circles, and an interpolant joins noise and data on lines: declare its path, κ, instead.',
      // @ts-expect-error it has a path
      () => sphericalFlow({ name: "i", interpolant: flow({ name: "" }).interpolant }),
    ],
    [
      'The spherical flow "l" is judged by cross-entropy, KL, squared error, and not by hinge.',
      // @ts-expect-error there is no such loss
      () => sphericalFlow({ name: "l", loss: "hinge" }),
    ],
    [
      'The spherical flow "t" has token vectors that are "learned" or "frozen", not one-hot.',
      // @ts-expect-error there is no such table
      () => sphericalFlow({ name: "t", states: "one-hot" }),
    ],
    [
      'The spherical flow "w" gives its loss a weight of Infinity at t = 1: bound it, as snr does with a cap, or minimum(w, 100).',
      () => sphericalFlow({ name: "w", weighting: (_t, { kappa }) => div(1, sub(1, kappa)) }),
    ],
    [
      'The spherical flow "w" gives its loss a weight of -0.015625 at t = 0.265625, and no weight is negative.',
      () => sphericalFlow({ name: "w", weighting: (t) => sub(0.25, t) }),
    ],
    [
      'The flow map "m" is a weighted sum of a state and an endpoint, which leaves the sphere that the states of "sphere" are on, ' +
        "and tangents at different points of a sphere have no sum that would take its place: a flow map follows what flow() declares.",
      // @ts-expect-error a flow map is of a flow on lines
      () => flowMap({ name: "m", flow: sphere, objective: semigroup() }),
    ],
  ])("%s", (message, declare) => {
    expect(messageOf(declare)).toBe(message);
  });
});

/** What is written for flows on lines takes none on the sphere: this function is compiled, and never called. */
export function mistakenly(): void {
  // @ts-expect-error it has no source
  flowStep(sphere, {} as never, {} as never);
  // @ts-expect-error it has no interpolant
  samplers.euler(sphere, 4);
  // @ts-expect-error it is no spherical flow
  sphericalStep(flow({ name: "" }), {} as never, {} as never);
}

describe("the law of a state given its token", () => {
  const NODES = 4000;
  it.each([
    [3, sphere, 0.5],
    [8, sphere, 0.25],
    [8, late, 0.7],
    [16, sphere, 0.02],
  ])("on S^(%i − 1) has the integral 1, and the mean that its noise has", (d, which: SphericalFlow, time) => {
    const angles = Array.from({ length: NODES }, (_, i) => (Math.PI * (i + 0.5)) / NODES);
    const rows = angles.flatMap((a) => [Math.cos(a), Math.sin(a), ...Array<number>(d - 2).fill(0)]);
    const token = [1, ...Array<number>(d - 1).fill(0)];
    const density = list(
      evaluate(
        {
          x: floats([NODES, 1, d], rows),
          e: floats([1, 1, d], token),
          t: floats([NODES], Array<number>(NODES).fill(time)),
        },
        ({ x, e, t }) => exp(which.logDensity(x, e, t)),
      ),
    );
    const kappa = which === late ? time ** 2 : time;
    const area = angles.map((a) => Math.sin(a) ** (d - 2));
    const whole = area.reduce((a, b) => a + b);
    const integral = (f: (i: number) => number): number =>
      area.reduce((sum, a, i) => sum + a * f(i), 0) / whole;
    expect(integral((i) => density[i] ?? NaN)).toBeCloseTo(1, 4);
    expect(integral((i) => (density[i] ?? NaN) * Math.cos(angles[i] ?? NaN))).toBeCloseTo(
      integral((i) => Math.cos((1 - kappa) * (angles[i] ?? NaN))),
      4,
    );
  });
});

describe("samples of the exact flow", () => {
  const table = [
    [1, 0.2, 0, 0.1, 0],
    [0, 1, -0.4, 0, 0.3],
    [-0.3, 0, 1, 0.2, 0],
    [0.1, 0.3, 0, 1, -0.2],
  ];
  const COUNT = 400;
  const keys = Array.from({ length: COUNT }, (_, i) => Array.from(fold(key(5), i))).flat();
  const texts = (
    sequences: readonly (readonly number[])[],
    method: SphericalMethod,
    steps: number,
    weights: readonly number[],
  ): readonly string[] => {
    const oracle = sphericalOracle(late, { vocab: 4, sequences, weights }, table);
    const tokens = list(
      evaluate({ keys: words([COUNT, 2], keys) }, (inputs) => {
        const { tokens } = sphericalSample(
          late,
          (x, { t }) => log(maximum(oracle.denoiser(x, t), 1e-30)) as Tensor,
          sphericalSchedule(late, method, steps),
          { keys: inputs.keys, table: oracle.table(), length: oracle.length },
        );
        return tokens;
      }),
    );
    const length = sequences[0]?.length ?? 1;
    return Array.from({ length: COUNT }, (_, i) => tokens.slice(i * length, (i + 1) * length).join(" "));
  };
  const shareOf = (list: readonly string[], text: string): number =>
    list.filter((each) => each === text).length / COUNT;

  it.each<[SphericalMethod, number]>([
    ["midpoint", 24],
    ["euler", 32],
    ["drawn", 64],
  ])("by %s in %i steps come from the corpus, as often as there", (method, steps) => {
    const found = texts([[0, 1], [2, 3]], method, steps, [2, 1]); // prettier-ignore
    const [first, second] = [shareOf(found, "0 1"), shareOf(found, "2 3")];
    expect(first + second).toBeGreaterThan(0.97);
    // Four standard errors of 400 draws.
    expect(Math.abs(first - 2 / 3)).toBeLessThan(0.095);
  });

  it("of one token have its law however few steps, where tokens are drawn", () => {
    const found = texts([[0], [1], [3]], "drawn", 2, [2, 1, 1]); // prettier-ignore
    for (const [text, wanted] of [
      ["0", 1 / 2],
      ["1", 1 / 4],
      ["2", 0],
      ["3", 1 / 4],
    ] as const)
      // prettier-ignore
      expect(Math.abs(shareOf(found, text) - wanted)).toBeLessThan(0.1);
  });

  it.each([
    ["midpoint", 2],
    ["euler", 1],
  ] as const)("by %s follow the exact flow by steps of order %i", (method, order) => {
    const oracle = sphericalOracle(late, { vocab: 4, sequences: [[0, 1], [2, 3]] }, table); // prettier-ignore
    const { sampled, exact } = evaluate({ keys: words([8, 2], keys.slice(0, 16)) }, (inputs) => {
      const noise = perKey((one) => uniformNoise(late.geometry, one, [2, 5]), foldedKeys(inputs.keys, 0));
      const times = (t: number): Tensor => full([8], t);
      return {
        sampled: sphericalSample(
          late,
          (x, { t }) => log(maximum(oracle.denoiser(x, t), 1e-30)) as Tensor,
          sphericalSchedule(late, method, 6, { end: 0.9 }),
          { keys: inputs.keys, table: oracle.table(), length: 2 },
        ).state,
        exact: oracle.flowMap(noise, times(0), times(0.9), { steps: 6, order }),
      };
    });
    expect(distance(sampled.data, exact.data)).toBeLessThan(1e-9);
  });

  it("are drawn anew in every step", () => {
    const last = (steps: number): readonly number[] =>
      list(
        evaluate(
          { keys: words([COUNT, 2], keys), table: floats([2, 2], [1, 0, 0, 1]) },
          (inputs) =>
            // Two tokens that are as likely wherever the state is.
            sphericalSample(sphere, () => zeros([COUNT, 1, 2]), sphericalSchedule(sphere, "drawn", steps), {
              keys: inputs.keys,
              table: inputs.table,
              length: 1,
            }).tokens,
        ),
      );
    const [one, two] = [last(1), last(2)];
    const same = one.filter((token, i) => token === two[i]).length / COUNT;
    // Four standard errors.
    expect(Math.abs(same - 1 / 2)).toBeLessThan(0.1);
  });

  it("keep the tokens that are given, and mostly follow them", () => {
    const oracle = sphericalOracle(late, { vocab: 4, sequences: [[0, 1], [2, 3]] }, table); // prettier-ignore
    const found = evaluate({ keys: words([COUNT, 2], keys) }, (inputs) =>
      sphericalSample(
        late,
        (x, { t }) => log(maximum(oracle.denoiser(x, t), 1e-30)) as Tensor,
        sphericalSchedule(late, "euler", 24),
        { keys: inputs.keys, table: oracle.table(), length: 2, given: constant(Array.from({ length: 2 * COUNT }, (_, i) => (i % 2 === 0 ? 2 : -1)), [COUNT, 2], "i32") }, // prettier-ignore
      ),
    );
    const tokens = list(found.tokens);
    expect(tokens.filter((token, i) => i % 2 === 0 && token !== 2)).toEqual([]);
    expect(tokens.filter((token, i) => i % 2 === 1 && token === 3).length / COUNT).toBeGreaterThan(0.7);
    // The kept place has arrived at its vector.
    const unit = (row: readonly number[]) => row.map((x) => x / Math.hypot(...row));
    expect(distance(list(found.state).slice(0, 5), unit(table[2] as number[]))).toBeLessThan(1e-6);
  });

  it("are refused of a corpus that does not fit", () => {
    const of =
      (sequences: number[][], vectors: number[][] = table) =>
      () =>
        sphericalOracle(sphere, { vocab: 4, sequences }, vectors);
    expect(of([[0], [1, 2]])).toThrow("sequence 1 has 2 tokens, the first has 1");
    expect(of([[4]])).toThrow("Sequence 0 holds 4, which is no token of a vocabulary of 4.");
    expect(of([[0]], [[1, 0], [0, 0], [0, 1], [1, 1]])).toThrow("a vector for each of 4 tokens"); // prettier-ignore
    expect(of([[0]], table.map((row, i) => (i === 2 ? [NaN, ...row.slice(1)] : row)))).toThrow("of finite numbers and not 0."); // prettier-ignore
  });
});
