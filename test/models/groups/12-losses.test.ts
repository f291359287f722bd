/** Groups 12 to 14, and 17 for losses: logits, what learns and from which rows, the student at its start, projected states. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import {
  add,
  div,
  expandDims,
  grad,
  log,
  logSoftmax,
  matmul,
  mul,
  neg,
  random,
  sign,
  softcap,
  softmax,
  square,
  stopGradient,
  sub,
  sum,
  treeLeaves,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { semigroupWeight } from "../../../src/models/flow/algebra.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { permutation, uniforms, key as hostKey, fold } from "../../../src/models/flow/host-random.ts";
import { projectedSpace, vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { chunk, fmlmTimes } from "../../../src/models/flow/times.ts";
import { denoiser, OUTPUT_SOFTCAP } from "../../../src/models/language/denoiser.ts";
import { flmLoss } from "../../../src/models/language/flm.ts";
import { fmlmLoss, fmlmTerms } from "../../../src/models/language/fmlm.ts";
import type { FmlmBatch, FmlmOptions } from "../../../src/models/language/fmlm.ts";
import { ditToTensors } from "../../../src/models/networks/checkpoint.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../../src/models/networks/dit.ts";
import { evaluate, scalarOf } from "../../support/evaluate.ts";
import { normals, randomParams } from "../networks/random-weights.ts";
import { distance, floats, ints, largest, list, numbers, openTargets, words } from "./support.ts";

const config: DitConfig = { vocab: 7, length: 3, width: 8, depth: 1, heads: 2, conditioning: 4 };
const studentConfig: DitConfig = { ...config, targetTime: true };
const [teacherNetwork, student] = [dit(config), dit(studentConfig)];

const clock = decodingError({ vocab: config.vocab });

/** A batch of jumps τ_s < τ_u < τ_t after `diagonal` rows, the last of which is the boundary. */
function batchOf(seed: number, batch: number, diagonal: number) {
  const draw = normals(seed);
  const unit = (): number => 0.5 + Math.atan(draw()) / Math.PI;
  const rows = Array.from({ length: batch }, (_, row) => {
    const [tauS, tauT] =
      row < diagonal ? [0.5, 0.5] : row === batch - 1 ? [0, 1] : [0.45 * unit(), 0.5 + 0.45 * unit()];
    const [s, u, t] = [tauS, (tauS + tauT) / 2, tauT].map((tau) => clock.time(tau)) as [
      number,
      number,
      number,
    ];
    return { tauS, tauU: (tauS + tauT) / 2, tauT, s, u, t, gamma: semigroupWeight(s, u, t) };
  });
  const column = (name: keyof (typeof rows)[number]): ExactTensor =>
    floats(
      [batch],
      rows.map((row) => row[name]),
    );
  return {
    tokens: ints(
      [batch, 3],
      Array.from({ length: 3 * batch }, () => Math.floor(7 * unit())),
    ),
    noise: floats([batch, 3, 7], Array.from({ length: 21 * batch }, draw)),
    tauS: column("tauS"),
    tauU: column("tauU"),
    tauT: column("tauT"),
    s: column("s"),
    u: column("u"),
    t: column("t"),
    gamma: column("gamma"),
  };
}

/** Σ|x| of every leaf as one sum of squares. */
const stackSums = (leaves: readonly Tensor[]): Tensor =>
  leaves.map((leaf) => sum(square(leaf)) as Tensor).reduce((a, b) => add(a, b) as Tensor);

/** The loss against a target that is a constant. */
function againstFixed(
  params: DitParams,
  batch: FmlmBatch,
  target: Tensor,
  option: Pick<FmlmOptions<DitParams>, "squaredError" | "rescale">,
): Tensor<[]> {
  const { state } = fmlmTerms(student, params, batch, { diagonal: 3 });
  const probabilities = denoiser(student, params, vocabularySpace, state, {
    tau: batch.tauS,
    target: batch.tauT,
  });
  const perToken: Tensor =
    option.squaredError === true
      ? sum(square(sub(probabilities, target) as Tensor), 2)
      : neg(sum(mul(target, log(probabilities)) as Tensor, 2) as Tensor);
  const factor: Tensor = square(div(sub(batch.t, batch.s), sub(1, batch.s)) as Tensor);
  // Diagonal rows have t = s; they are not scaled.
  const scale: Tensor =
    option.rescale === true
      ? add(factor, sub(1, sign(sub(batch.t, batch.s) as Tensor)) as Tensor)
      : add(mul(factor, 0), 1);
  return div(sum(mul(perToken, expandDims(scale, 1)) as Tensor), 18) as Tensor<[]>;
}

/** Numbers of a tree of parameters, in one list. */
const flat = (of: DitConfig, tree: Parameters<typeof ditToTensors<ExactTensor>>[1]): number[] =>
  ditToTensors(of, tree).flatMap(([, tensor]) => list(tensor));
/** Largest |a − b|, as a share of the largest |b|. */
const relative = (actual: readonly number[], expected: readonly number[]): number =>
  distance(actual, expected) / Math.max(...expected.map(Math.abs));

describe.each(await openTargets())("on $name", ({ name, prepare, within }) => {
  const RUNS = { numRuns: 3 };

  describe("group 12: logits", () => {
    it("a constant added to all of them changes nothing; the cap is monotone, bounded by 30, with derivative 1 − tanh²", async () => {
      const like = {
        x: floats([4, 6], new Float64Array(24)),
        shift: scalarOf(0),
        y: floats([16], new Float64Array(16)),
      };
      const run = await prepare(like, ({ x, shift, y }) => ({
        moved: sub(logSoftmax(add(x, shift) as Tensor), logSoftmax(x)) as Tensor,
        capped: softcap(y, OUTPUT_SOFTCAP) as Tensor,
        slope: grad((z: Tensor) => sum(softcap(z, OUTPUT_SOFTCAP) as Tensor) as Tensor<[]>)(y),
      }));
      await fc.assert(
        fc.asyncProperty(
          numbers(24, -20, 20),
          numbers(1, -100, 100),
          numbers(16, -200, 200),
          async (x, [shift = NaN], values) => {
            const sorted = Float64Array.from(values).sort();
            const { moved, capped, slope } = await run({
              x: floats([4, 6], x),
              shift: scalarOf(shift),
              y: floats([16], sorted),
            });
            expect(largest(moved)).toBeLessThan(within(1e-12, 5e-5));
            expect(
              list(capped).every(
                (y, i) =>
                  Math.abs(y) <= 30 && (i === 0 || y >= (capped.data[i - 1] ?? NaN) - within(0, 4e-6)),
              ),
            ).toBe(true);
            const expected = Array.from(sorted, (y) => 1 - Math.tanh(y / 30) ** 2);
            expect(distance(slope.data, expected)).toBeLessThan(within(1e-12, 2e-6));
          },
        ),
        { numRuns: 30 },
      );
    });
  });

  describe("group 13: what learns, and from which rows", () => {
    // Programs of the options differ in a few operations.
    it.each(name === "interpreter" ? [{}, { squaredError: true }, { rescale: true }] : [{ rescale: true }])(
      "no gradient reaches the teacher or the target: %o",
      async (option) => {
        const inputsOf = (seed: number) => ({
          params: randomParams(studentConfig, seed),
          teacher: randomParams(config, seed + 1),
          batch: batchOf(seed, 6, 3),
        });
        const run = await prepare(inputsOf(0), ({ params, teacher, batch }) => {
          const options = (frozen: DitParams): FmlmOptions<DitParams> => ({
            diagonal: 3,
            teacher: { network: teacherNetwork, params: frozen },
            ...option,
          });
          const rows = batch as FmlmBatch;
          const fixed: Tensor = stopGradient(fmlmTerms(student, params, rows, options(teacher)).target);
          return {
            teacher: stackSums(
              treeLeaves(
                grad((frozen: DitParams) => fmlmLoss(student, params as DitParams, rows, options(frozen)))(
                  teacher as DitParams,
                ),
              ),
            ),
            loss: grad((p: DitParams) => fmlmLoss(student, p, rows, options(teacher)))(params as DitParams),
            fixed: grad((p: DitParams) => againstFixed(p, rows, fixed, option))(params as DitParams),
          };
        });
        await fc.assert(
          fc.asyncProperty(fc.nat(), async (seed) => {
            const result = await run(inputsOf(seed));
            expect(list(result.teacher)).toEqual([0]);
            const [loss, fixed] = [flat(studentConfig, result.loss), flat(studentConfig, result.fixed)];
            expect(Math.max(...fixed)).toBeGreaterThan(1e-3);
            expect(relative(loss, fixed)).toBeLessThan(within(1e-12, 1e-4));
          }),
          RUNS,
        );
      },
    );

    it("cross-entropy against a soft target and divergence from it have one gradient", async () => {
      const like = { x: floats([2, 6], new Float64Array(12)), y: floats([2, 6], new Float64Array(12)) };
      const run = await prepare(like, ({ x, y }) => {
        const target = softmax(y);
        const crossEntropy = (z: Tensor): Tensor<[]> =>
          neg(sum(mul(target, logSoftmax(z)) as Tensor)) as Tensor<[]>;
        const divergence = (z: Tensor): Tensor<[]> =>
          sum(mul(target, sub(logSoftmax(y), logSoftmax(z)) as Tensor) as Tensor) as Tensor<[]>;
        return { gap: sub(grad(crossEntropy)(x), grad(divergence)(x)) as Tensor };
      });
      await fc.assert(
        fc.asyncProperty(numbers(12, -5, 5), numbers(12, -5, 5), async (x, y) => {
          const { gap } = await run({ x: floats([2, 6], x), y: floats([2, 6], y) });
          expect(largest(gap)).toBeLessThan(within(1e-14, 1e-6));
        }),
        { numRuns: 30 },
      );
    });
  });

  describe("group 14: the student at its start", () => {
    it("δ_{s,t} = D_s for every t, and the diagonal loss is the teacher's entropy", async () => {
      const inputsOf = (seed: number) => ({
        teacher: randomParams(config, seed),
        batch: batchOf(seed, 6, 3),
        key: words([2], [...hostKey(seed)]),
      });
      const run = await prepare(inputsOf(0), ({ teacher, batch, key }) => {
        const { targetTime } = student.init(key as random.Key);
        const params = { ...(teacher as DitParams), ...(targetTime === undefined ? {} : { targetTime }) };
        const rows = batch as FmlmBatch;
        const terms = fmlmTerms(student, params, rows, {
          diagonal: 3,
          teacher: { network: teacherNetwork, params: teacher },
        });
        const D = denoiser(teacherNetwork, teacher, vocabularySpace, terms.state, { tau: rows.tauS });
        const jumped = denoiser(student, params, vocabularySpace, terms.state, {
          tau: rows.tauS,
          target: rows.tauT,
        });
        return {
          gap: sub(jumped, D) as Tensor,
          loss: terms.tokenLoss,
          entropy: neg(sum(mul(D, log(D)) as Tensor, 2) as Tensor),
        };
      });
      await fc.assert(
        fc.asyncProperty(fc.nat(), async (seed) => {
          const result = await run(inputsOf(seed));
          expect(largest(result.gap)).toBeLessThan(within(1e-12, 2e-6));
          // Rows 0 to 2 are diagonal.
          const [loss, entropy] = [result.loss, result.entropy].map((tensor) => list(tensor).slice(0, 9));
          expect(distance(loss ?? [], entropy ?? [])).toBeLessThan(within(1e-9, 2e-5));
        }),
        RUNS,
      );
    });
  });

  describe("group 17: losses on projected states", () => {
    it("FLM: the same loss and gradients as on the vocabulary for noise ε·E", async () => {
      const inputsOf = (seed: number) => ({ params: randomParams(config, seed), batch: batchOf(seed, 4, 0) });
      const run = await prepare(inputsOf(0), ({ params, batch: { tokens, noise, tauS: tau, s: t } }) => {
        const batch = { tokens, tau, t };
        return {
          onVocabulary: grad((p: DitParams) => flmLoss(teacherNetwork, p, { ...batch, noise }))(
            params as DitParams,
          ),
          projected: grad((p: DitParams) =>
            flmLoss(teacherNetwork, p, { ...batch, noise: matmul(noise, p.embedding) }, projectedSpace()),
          )(params as DitParams),
        };
      });
      await fc.assert(
        fc.asyncProperty(fc.nat(), async (seed) => {
          const { onVocabulary, projected } = await run(inputsOf(seed));
          expect(relative(flat(config, projected), flat(config, onVocabulary))).toBeLessThan(
            within(1e-12, 1e-4),
          );
        }),
        RUNS,
      );
    });

    it("FMLM: the same terms where student and teacher share the table", async () => {
      const inputsOf = (seed: number) => {
        const params = randomParams(studentConfig, seed);
        const teacher = { ...randomParams(config, seed + 1), embedding: params.embedding };
        return { params, teacher, batch: batchOf(seed, 6, 2) };
      };
      const run = await prepare(inputsOf(0), (input) => {
        const rows = input.batch as FmlmBatch;
        const options: FmlmOptions<DitParams> = {
          diagonal: 2,
          teacher: { network: teacherNetwork, params: input.teacher },
        };
        const params = input.params as DitParams;
        const plain = fmlmTerms(student, params, rows, options);
        const noise: Tensor = matmul(rows.noise, params.embedding);
        const projected = fmlmTerms(student, params, { ...rows, noise }, options, projectedSpace());
        return {
          target: sub(plain.target, projected.target) as Tensor,
          loss: sub(plain.tokenLoss, projected.tokenLoss) as Tensor,
          state: sub(matmul(plain.state, params.embedding) as Tensor, projected.state) as Tensor,
        };
      });
      await fc.assert(
        fc.asyncProperty(fc.nat(), async (seed) => {
          for (const gap of Object.values(await run(inputsOf(seed))))
            expect(largest(gap)).toBeLessThan(within(1e-10, 1e-4));
        }),
        RUNS,
      );
    });
  });
});

describe("group 13: rows, which are dealt out by the host", () => {
  it("a global batch of 512 has 256 diagonal, 8 boundary and 248 other rows on any split, with s <= u <= t", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.constantFrom([1, 1], [8, 1], [4, 2], [2, 16]),
        (seed, [devices = 1, accumulations = 1]) => {
          const draw = (n: number): Float64Array => uniforms(fold(hostKey(seed), n), 512);
          const rows = fmlmTimes({
            batch: 512,
            step: 0,
            diagonalFraction: 1 / 2,
            boundaryFraction: 1 / 64,
            uniforms: { diagonal: draw(0), difference: draw(1), start: draw(2) },
            permutation: permutation(fold(hostKey(seed), 3), 512),
            clock: { ...clock, time: (tau) => tau },
            midpoint: "clock",
          });
          const pieces = Array.from({ length: devices * accumulations }, (_, i) =>
            chunk(rows, {
              devices,
              accumulations,
              device: Math.floor(i / accumulations),
              accumulation: i % accumulations,
            }),
          ).flat();
          const count = (kind: string): number => pieces.filter((row) => row.kind === kind).length;
          expect([count("diagonal"), count("boundary"), count("off-diagonal")]).toEqual([256, 8, 248]);
          for (const { kind, s, u, t } of pieces) {
            expect(s <= u && u <= t).toBe(true);
            if (kind === "boundary") expect([s, t]).toEqual([0, 1]);
            if (kind === "diagonal") expect(s).toBe(t);
          }
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe("batches of one kind of row", () => {
  it("of diagonal rows only, and of none, have a loss", () => {
    for (const [diagonal, seed] of [
      [4, 1],
      [0, 2],
    ] as const) {
      const loss = evaluate(
        {
          params: randomParams(studentConfig, seed),
          teacher: randomParams(config, seed),
          batch: batchOf(seed, 4, diagonal),
        },
        (input) =>
          fmlmLoss(student, input.params as DitParams, input.batch as FmlmBatch, {
            diagonal,
            rescale: true,
            teacher: { network: teacherNetwork, params: input.teacher as DitParams },
          }),
      );
      expect(loss.data[0]).toBeGreaterThan(0);
    }
  });
});
