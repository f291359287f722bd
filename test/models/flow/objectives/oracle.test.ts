/**
 * Every objective at the exact map of a corpus: its target is the map's own value. For several interpolants, sources, and states.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../../src/compiler/host-tensor.ts";
import { mul, onesLike } from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { linear, trigonometric, variancePreservingLinear } from "../../../../src/models/flow/interpolant.ts";
import { oracleMap } from "../../../../src/models/flow/oracle-map.ts";
import { corpusOracle } from "../../../../src/models/flow/oracle.ts";
import { eulerian, eulerianLogits } from "../../../../src/models/flow/objectives/eulerian.ts";
import { lagrangian, lagrangianLogits } from "../../../../src/models/flow/objectives/lagrangian.ts";
import { semigroup } from "../../../../src/models/flow/objectives/semigroup.ts";
import { gaussian, logistic } from "../../../../src/models/flow/source.ts";
import type { Source } from "../../../../src/models/flow/source.ts";
import { diagonalOf } from "../../../../src/models/flow/two-time.ts";
import type { Time } from "../../../../src/models/flow/two-time.ts";
import { compiled, distance, floats } from "../../../support/evaluate.ts";

const CORPUS = { vocab: 3, sequences: [[0, 1], [2, 0], [1, 1]], weights: [2, 1, 1] }; // prettier-ignore
const EMBEDDING = [
  [1, 0.2],
  [-0.4, 0.9],
  [0.1, -1.1],
];
const ROWS = 4;

const worlds: readonly (readonly [
  string,
  { readonly source: Source; readonly embedding?: typeof EMBEDDING },
])[] = [
  ["one-hot states", { source: gaussian() }],
  ["noise of scale 0.7", { source: gaussian({ scale: 0.7 }) }],
  ["embedded tokens", { source: gaussian(), embedding: EMBEDDING }],
  ["logistic noise", { source: logistic() }],
];

describe.each([semigroup(), lagrangian(), eulerian(), lagrangianLogits(), eulerianLogits()])(
  "$name",
  (objective) => {
    describe.each([linear, trigonometric, variancePreservingLinear])("$name interpolant", (interpolant) => {
      it.each(worlds)("is fulfilled by the exact map of %s", (_name, world) => {
        const map = oracleMap(corpusOracle(CORPUS, world), interpolant, { steps: 96 });
        const dim = world.embedding === undefined ? 3 : 2;
        const time = (t: Tensor): Time => ({ t, tau: t, rate: onesLike(t) });
        const like = {
          x: floats([ROWS, 2, dim], new Float64Array(ROWS * 2 * dim)),
          s: floats([ROWS], new Float64Array(ROWS)),
          u: floats([ROWS], new Float64Array(ROWS)),
          t: floats([ROWS], new Float64Array(ROWS)),
        };
        const run = compiled(like, ({ x, s, u, t }) => {
          const rows = { x, s: time(s), u: time(u), t: time(t) };
          return {
            target: objective.target({ student: map, instant: diagonalOf(map) }, rows),
            value: mul(map.denoiser(x, rows.s, rows.t), 1),
          };
        });
        const coordinate = fc.double({ min: -2, max: 2, noNaN: true });
        const ordered = fc
          .tuple(...[0, 1, 2].map(() => fc.double({ min: 0, max: 0.85, noNaN: true })))
          .map((times) => times.toSorted((a, b) => a - b));
        fc.assert(
          fc.property(
            fc.array(coordinate, { minLength: ROWS * 2 * dim, maxLength: ROWS * 2 * dim }),
            fc.array(ordered, { minLength: ROWS, maxLength: ROWS }),
            (x, times) => {
              const column = (i: number): ExactTensor =>
                floats(
                  [ROWS],
                  times.map((row) => row[i] as number),
                );
              const { target, value } = run({
                x: floats([ROWS, 2, dim], x),
                s: column(0),
                u: column(1),
                t: column(2),
              });
              expect(distance(target.data, value.data)).toBeLessThan(3e-4);
            },
          ),
          { numRuns: 2, endOnFailure: true },
        );
      });
    });
  },
);
