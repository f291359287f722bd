/** The FLM loss and the FMLM semigroup (PSD) loss with all their parts and the gradients of all parameters. */
import { afterAll, describe, expect, it } from "vitest";
import { constant, gather, logSoftmax, mean, sum, valueAndGrad } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { semigroupWeight } from "../../../src/models/flow/algebra.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { interpolate } from "../../../src/models/flow/fields.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { flmLoss, flmTokenLoss } from "../../../src/models/language/flm.ts";
import { fmlmLoss, fmlmTerms } from "../../../src/models/language/fmlm.ts";
import type { FmlmBatch, FmlmOptions } from "../../../src/models/language/fmlm.ts";
import type { DitParams } from "../../../src/models/networks/dit.ts";
import { ditToTensors } from "../../../src/models/networks/checkpoint.ts";
import type { DitTree } from "../../../src/models/networks/checkpoint.ts";
import { OFFICIAL_PREFIX } from "../../../src/models/networks/official-names.ts";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import type { Dit } from "../../../src/models/networks/dit.ts";
import {
  expectGolden,
  expectTensors,
  floats,
  host,
  hosts,
  numbers,
  PRECISIONS,
  run,
  stateOf,
  stored,
  summarize,
  tiny,
  TOLERANCE,
} from "./support.ts";
import type { Entry } from "./support.ts";

afterAll(() => summarize("losses"));

/** The gradients that a case records, under their official names. */
function recordedGradients(
  network: Dit,
  gradients: DitTree<ExactTensor>,
  recorded: object,
  at: string,
): Entry[] {
  const named = new Map(
    ditToTensors(network.config, gradients).map(([name, value]) => [
      name.slice(OFFICIAL_PREFIX.length),
      value,
    ]),
  );
  return Object.keys(recorded).map((name) => [[at, name], named.get(name) as ExactTensor] as const);
}

/** The recorded times are those of the published table, 4e-10 off; losses are compared at the same times. */
function expectClock(vocab: number, tau: readonly number[], recorded: ArrayLike<number>): void {
  const clock = decodingError({ vocab });
  tau.forEach((x, i) => expect(Math.abs(clock.time(x) - (recorded[i] ?? NaN))).toBeLessThan(TOLERANCE));
}

describe.each(PRECISIONS)("FLM loss in %s", (precision) => {
  it("c: times, states, token losses, both means and their gradients", async () => {
    const golden = tiny("c_flm_loss");
    const { network, params } = await stateOf("weights.safetensors");
    const t = host(golden.outputs, "t");
    expectClock(network.vocab, numbers(golden.inputs, "tau"), t.data);
    const mask = host(golden.inputs, "attention_mask");
    const inputs = {
      params,
      batch: {
        ...hosts(golden.inputs, "tokens", "noise", "tau"),
        t,
      },
      mask: floats(mask.shape, mask.data),
    };
    const results = await run(precision, inputs, ({ params: weights, batch, mask: counted }) => {
      const whole = valueAndGrad((p: DitParams) => flmLoss(network, p, batch))(weights);
      const masked = valueAndGrad((p: DitParams) => flmLoss(network, p, { ...batch, mask: counted }))(
        weights,
      );
      const perToken = flmTokenLoss(network, weights, batch);
      return {
        x_t: interpolate(batch.noise, vocabularySpace.clean(batch.tokens, weights.embedding), batch.t),
        per_token: perToken,
        sum: sum(perToken),
        mean: whole.value,
        masked_mean: masked.value,
        masked_count: sum(counted),
        gradient: whole.grad,
        maskedGradient: masked.grad,
      };
    });
    const { gradient, maskedGradient, ...values } = results;
    expectGolden(
      precision,
      golden,
      Object.entries(values).map(([name, value]) => [[name], value] as const),
    );
    const { grad_mean: recorded, grad_masked_mean: recordedMasked } = golden.outputs;
    expectGolden(precision, golden, recordedGradients(network, gradient, recorded as object, "grad_mean"));
    expectGolden(
      precision,
      golden,
      recordedGradients(network, maskedGradient, recordedMasked as object, "grad_masked_mean"),
    );
    expectTensors(precision, network.config, gradient, await stored("grads.flm_loss.safetensors"));
  });
});

/** What the published code adds to 1 − s and to the denominator of γ. */
const FLOOR = 1e-8;

/** The case's rows with the diagonal ones first, as the loss takes them, and how to get back. */
function psdBatch(vocab: number) {
  const golden = tiny("d_fmlm_psd");
  const [diagonal, boundary, off] = ["idx_diag", "idx_boundary", "idx_offdiag"].map((name) =>
    numbers(golden.inputs, name),
  );
  if (diagonal === undefined || boundary === undefined || off === undefined)
    throw new Error("three were read");
  const jumps = [...off, ...boundary];
  const order = [...diagonal, ...jumps];
  const [tauDiagonal, length, start] = ["tau_diag", "tau_d", "tau_a"].map((name) =>
    numbers(golden.inputs, name),
  );
  const [sources, middles, targets] = ["s", "u", "t"].map((name) => numbers(golden.outputs, name));
  const times = order.map((row) => {
    const pick = (list: readonly number[] | undefined): number => list?.[row] ?? NaN;
    const tauS = diagonal.includes(row)
      ? pick(tauDiagonal)
      : boundary.includes(row)
        ? 0
        : pick(start) * (1 - pick(length));
    const tauT = diagonal.includes(row) ? tauS : boundary.includes(row) ? 1 : tauS + pick(length);
    const tauU = (tauS + tauT) / 2;
    const [s, u, t] = [pick(sources), pick(middles), pick(targets)];
    expectClock(vocab, [tauS, tauU, tauT], [s, u, t]);
    return { tauS, tauU, tauT, s, u, t, gamma: semigroupWeight(s, u, t, FLOOR) };
  });
  const reorder = (x: ExactTensor): ExactTensor => {
    const size = x.data.length / order.length;
    return {
      ...x,
      data: Float64Array.from(
        order.flatMap((row) => Array.from(x.data.subarray(row * size, (row + 1) * size))),
      ),
    };
  };
  const tokens = host(golden.inputs, "tokens");
  const column = (name: keyof (typeof times)[number]): ExactTensor =>
    floats(
      [order.length],
      times.map((row) => row[name]),
    );
  const batch = {
    tokens: { ...tokens, data: Int32Array.from(reorder(tokens).data) },
    noise: reorder(host(golden.inputs, "noise")),
    tauS: column("tauS"),
    tauU: column("tauU"),
    tauT: column("tauT"),
    s: column("s"),
    u: column("u"),
    t: column("t"),
    gamma: column("gamma"),
  };
  return {
    golden,
    batch,
    diagonal: diagonal.length,
    back: order.map((_, row) => order.indexOf(row)),
    jumpRows: jumps,
  };
}

describe.each(PRECISIONS)("FMLM semigroup loss in %s", (precision) => {
  const setUp = async () => {
    const student = await stateOf("weights.fmlm.safetensors");
    const teacher = await stateOf("weights.teacher.safetensors");
    const data = psdBatch(student.network.vocab);
    /** Rows in the order of the case again. */
    const restored = (x: Tensor): Tensor => gather(x, constant(data.back, [data.back.length], "i32"));
    const head = (x: Tensor): Tensor =>
      gather(x, constant(data.back.map((_, i) => i).slice(0, data.diagonal), [data.diagonal], "i32"));
    const tail = (x: Tensor): Tensor =>
      gather(
        x,
        constant(data.back.map((_, i) => i).slice(data.diagonal), [data.back.length - data.diagonal], "i32"),
      );
    const inputs = { params: student.params, teacher: teacher.params, batch: data.batch };
    return { ...data, student: student.network, teacher: teacher.network, inputs, restored, head, tail };
  };

  it("d: times, states, half jumps, targets, losses, and all gradients", async () => {
    const { golden, diagonal, student, teacher, inputs, restored, head, tail, jumpRows } = await setUp();
    const results = await run(precision, inputs, ({ params, teacher: frozen, batch }) => {
      const options: FmlmOptions<DitParams> = {
        diagonal,
        teacher: { network: teacher, params: frozen },
        floor: FLOOR,
      };
      const { state, logits, target, jump, tokenLoss } = fmlmTerms(
        student,
        params,
        batch as FmlmBatch,
        options,
      );
      const { value, grad } = valueAndGrad((p: DitParams) =>
        fmlmLoss(student, p, batch as FmlmBatch, options),
      )(params);
      if (jump === undefined) throw new Error("there are jumps");
      return {
        values: {
          ...Object.fromEntries(
            (["tauS", "tauU", "tauT", "s", "u", "t"] as const).map((name) => [
              name.replace("tau", "tau_").toLowerCase(),
              restored(batch[name]),
            ]),
          ),
          x_s: restored(state),
          log_delta_st: restored(logSoftmax(logits)),
          delta_su_od: jump.first,
          X_su_od: jump.middle,
          delta_ut_od: jump.second,
          gamma_od: tail(batch.gamma),
          target_od: tail(target),
          teacher_probs_diag: head(target),
          diag_loss: head(tokenLoss),
          offdiag_loss_od: tail(tokenLoss),
          per_token: restored(tokenLoss),
          mean: value,
          mean_diag: mean(head(tokenLoss)),
          mean_offdiag: mean(tail(tokenLoss)),
        } as Record<string, Tensor>,
        grad,
      };
    });
    expectGolden(
      precision,
      golden,
      Object.entries(results.values).map(([name, value]) => [[name], value] as const),
    );
    expectGolden(precision, golden, [
      [["od_rows"], host({ shape: [jumpRows.length], dtype: "int", data: jumpRows })],
    ]);
    expectGolden(
      precision,
      golden,
      recordedGradients(student, results.grad, golden.outputs.grad_mean as object, "grad_mean"),
    );
    expectTensors(precision, student.config, results.grad, await stored("grads.fmlm_psd.safetensors"));
  });

  it.each([
    ["no_teacher", {}, false],
    ["mse", { squaredError: true }, true],
    ["rescaled", { rescale: true }, true],
  ] as const)("d2: %s", async (name, option, taught) => {
    const { diagonal, student, teacher, inputs, restored, head, tail } = await setUp();
    const values = await run(precision, inputs, ({ params, teacher: frozen, batch }) => {
      const teaching = taught ? { teacher: { network: teacher, params: frozen } } : {};
      const options: FmlmOptions<DitParams> = { diagonal, floor: FLOOR, ...teaching, ...option };
      const { tokenLoss } = fmlmTerms(student, params, batch as FmlmBatch, options);
      return {
        per_token: restored(tokenLoss),
        mean: mean(tokenLoss),
        mean_diag: mean(head(tokenLoss)),
        mean_offdiag: mean(tail(tokenLoss)),
      };
    });
    expectGolden(
      precision,
      tiny("d2_fmlm_psd_variants"),
      Object.entries(values).map(([at, value]) => [[name, at], value] as const),
    );
  });
});
