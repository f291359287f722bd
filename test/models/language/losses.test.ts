/** Training losses by the groups of the specification: 12 logits, 13 gradients and rows, 14 the student at its start, 17 projected states. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
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
import { distance, evaluate, floats, ints, list } from "../../support/evaluate.ts";
import { normals, randomParams } from "../networks/random-weights.ts";

// Seconds where many tests run at once.
vi.setConfig({ testTimeout: 60_000 });

const config: DitConfig = { vocab: 7, length: 3, width: 8, depth: 2, heads: 2, conditioning: 4 };
const studentConfig: DitConfig = { ...config, targetTime: true };
const [teacherNetwork, student] = [dit(config), dit(studentConfig)];

const values = (count: number, min: number, max: number) =>
  fc.array(fc.double({ min, max, noNaN: true }), { minLength: count, maxLength: count });

describe("group 12: logits", () => {
  it("a constant added to all of them changes nothing", () => {
    fc.assert(
      fc.property(values(12, -20, 20), fc.double({ min: -100, max: 100, noNaN: true }), (data, shift) => {
        const { plain, shifted } = evaluate({ x: floats([2, 6], data) }, ({ x }) => ({
          plain: logSoftmax(x),
          shifted: logSoftmax(add(x, shift) as Tensor),
        }));
        expect(distance(plain.data, shifted.data)).toBeLessThan(1e-12);
      }),
    );
  });

  it("the cap is monotone, bounded by 30, with derivative 1 − tanh²", () => {
    fc.assert(
      fc.property(values(16, -200, 200), (data) => {
        const sorted = Float64Array.from(data).sort();
        const { capped, slope } = evaluate({ x: floats([16], sorted) }, ({ x }) => ({
          capped: softcap(x, OUTPUT_SOFTCAP),
          slope: grad((y: Tensor) => sum(softcap(y, OUTPUT_SOFTCAP) as Tensor) as Tensor<[]>)(x),
        }));
        expect(
          list(capped).every((y, i) => Math.abs(y) <= 30 && (i === 0 || y >= (capped.data[i - 1] ?? NaN))),
        ).toBe(true);
        expect(
          distance(
            slope.data,
            Array.from(sorted, (x) => 1 - Math.tanh(x / 30) ** 2),
          ),
        ).toBeLessThan(1e-12);
      }),
    );
  });
});

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

describe("group 13: what learns, and from which rows", () => {
  it.each([{}, { squaredError: true }, { rescale: true }])(
    "no gradient reaches the teacher or the target: %o",
    (option) => {
      fc.assert(
        fc.property(fc.nat(), (seed) => {
          const inputs = {
            params: randomParams(studentConfig, seed),
            teacher: randomParams(config, seed + 1),
            batch: batchOf(seed, 6, 3),
          };
          const result = evaluate(inputs, ({ params, teacher, batch }) => {
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
          expect(list(result.teacher)).toEqual([0]);
          const flat = (tree: typeof result.loss): number[] =>
            ditToTensors(studentConfig, tree).flatMap(([, tensor]) => list(tensor));
          expect(distance(flat(result.loss), flat(result.fixed))).toBeLessThan(1e-12);
        }),
        { numRuns: 3 },
      );
    },
  );

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

  it("cross-entropy against a soft target and divergence from it have one gradient", () => {
    fc.assert(
      fc.property(values(12, -5, 5), values(12, -5, 5), (logits, other) => {
        const { ce, kl } = evaluate({ x: floats([2, 6], logits), y: floats([2, 6], other) }, ({ x, y }) => {
          const target = softmax(y);
          const crossEntropy = (z: Tensor): Tensor<[]> =>
            neg(sum(mul(target, logSoftmax(z)) as Tensor)) as Tensor<[]>;
          const divergence = (z: Tensor): Tensor<[]> =>
            sum(mul(target, sub(logSoftmax(y), logSoftmax(z)) as Tensor) as Tensor) as Tensor<[]>;
          return { ce: grad(crossEntropy)(x), kl: grad(divergence)(x) };
        });
        expect(distance(ce.data, kl.data)).toBeLessThan(1e-14);
      }),
    );
  });

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

describe("group 14: the student at its start", () => {
  it("δ_{s,t} = D_s for every t, and the diagonal loss is the teacher's entropy", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const inputs = { teacher: randomParams(config, seed), batch: batchOf(seed, 6, 3) };
        const result = evaluate(inputs, ({ teacher, batch }) => {
          const { targetTime } = student.init(random.key(seed));
          const params = { ...(teacher as DitParams), ...(targetTime === undefined ? {} : { targetTime }) };
          const rows = batch as FmlmBatch;
          const terms = fmlmTerms(student, params, rows, {
            diagonal: 3,
            teacher: { network: teacherNetwork, params: teacher },
          });
          const D = denoiser(teacherNetwork, teacher, vocabularySpace, terms.state, { tau: rows.tauS });
          return {
            gap: sub(
              denoiser(student, params, vocabularySpace, terms.state, { tau: rows.tauS, target: rows.tauT }),
              D,
            ),
            loss: terms.tokenLoss,
            entropy: neg(sum(mul(D, log(D)) as Tensor, 2) as Tensor),
          };
        });
        expect(Math.max(...list(result.gap).map(Math.abs))).toBeLessThan(1e-12);
        // Rows 0 to 2 are diagonal.
        expect(distance(list(result.loss).slice(0, 9), list(result.entropy).slice(0, 9))).toBeLessThan(1e-9);
      }),
      { numRuns: 5 },
    );
  });

  it("batches of diagonal rows only, and of none, work", () => {
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

describe("group 17: losses on projected states", () => {
  it("FLM: the same loss and gradients as on the vocabulary for noise ε·E", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const { tokens, noise, tauS, s } = batchOf(seed, 4, 0);
        const result = evaluate(
          { params: randomParams(config, seed), tokens, noise, tau: tauS, t: s },
          (input) => {
            const batch = { tokens: input.tokens, tau: input.tau, t: input.t };
            const onVocabulary = grad((p: DitParams) =>
              flmLoss(teacherNetwork, p, { ...batch, noise: input.noise }),
            )(input.params as DitParams);
            const projected = grad((p: DitParams) =>
              flmLoss(
                teacherNetwork,
                p,
                { ...batch, noise: matmul(input.noise, p.embedding) },
                projectedSpace(),
              ),
            )(input.params as DitParams);
            return { onVocabulary, projected };
          },
        );
        const flat = (tree: typeof result.projected): number[] =>
          ditToTensors(config, tree).flatMap(([, tensor]) => list(tensor));
        expect(distance(flat(result.projected), flat(result.onVocabulary))).toBeLessThan(1e-12);
      }),
      { numRuns: 3 },
    );
  });

  it("FMLM: the same terms where student and teacher share the table", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const params = randomParams(studentConfig, seed);
        const teacher = { ...randomParams(config, seed + 1), embedding: params.embedding };
        const result = evaluate({ params, teacher, batch: batchOf(seed, 6, 2) }, (input) => {
          const rows = input.batch as FmlmBatch;
          const options: FmlmOptions<DitParams> = {
            diagonal: 2,
            teacher: { network: teacherNetwork, params: input.teacher },
          };
          const plain = fmlmTerms(student, input.params as DitParams, rows, options);
          const noise: Tensor = matmul(rows.noise, input.params.embedding);
          const projected = fmlmTerms(
            student,
            input.params as DitParams,
            { ...rows, noise },
            options,
            projectedSpace(),
          );
          return {
            target: sub(plain.target, projected.target),
            loss: sub(plain.tokenLoss, projected.tokenLoss),
            state: sub(matmul(plain.state, input.params.embedding) as Tensor, projected.state),
          };
        });
        for (const gap of Object.values(result))
          expect(Math.max(...list(gap).map(Math.abs))).toBeLessThan(1e-10);
      }),
      { numRuns: 3 },
    );
  });
});
