/**
 * Networks as denoisers: the parts that train and sample declared flows here pass, and planted mistakes in them are each caught, by the
 * identity that says what is wrong.
 */
import { describe, expect, it } from "vitest";
import { mul, softmax } from "../../../src/dsl/index.ts";
import { judged } from "../../../src/models/flow/judged.ts";
import { diagonalOf } from "../../../src/models/flow/two-time.ts";
import type { Time } from "../../../src/models/flow/two-time.ts";
import { declaredFlowTokenLoss } from "../../../src/models/language/declared-loss.ts";
import { flowDenoiser, mapDenoiser } from "../../../src/models/language/declared-network.ts";
import { fmlm, fmlmLagrangian, shortcut } from "../../../src/models/language/variants/index.ts";
import type { NetworkParts } from "../../../src/models/language/verify-network.ts";
import { verifyNetwork } from "../../../src/runtime/verify/network.ts";

const failed = async (map: Parameters<typeof verifyNetwork>[0], parts?: Partial<NetworkParts>) => {
  const results = await verifyNetwork(map, { cases: 1, ...(parts === undefined ? {} : { parts }) });
  for (const { cause, passed } of results) expect(cause === undefined).toBe(passed);
  return results.filter(({ passed }) => !passed).map(({ name }) => name);
};

/** A network's time is t, not the clock's. */
const tOnly = (time: Time): Time => ({ ...time, tau: time.t });

const mistakes: readonly (readonly [string, readonly string[], Partial<NetworkParts>])[] = [
  [
    "sampling without the softcap",
    ["softcap", "training judges what is sampled"],
    {
      flowDenoiser(flow, model) {
        const right = flowDenoiser(flow, model);
        const { network, params, space } = model;
        const logits: NonNullable<typeof right.logits> = (x, t) =>
          network.logits(params, space.embed(x, network.embedding(params)), { tau: t.tau });
        return { ...right, logits, denoiser: (x, t) => softmax(logits(x, t)) };
      },
    },
  ],
  [
    "sampling that tells t instead of τ",
    ["conditioning", "training judges what is sampled"],
    {
      flowDenoiser(flow, model) {
        const { logits, denoiser, point } = flowDenoiser(flow, model);
        return {
          point,
          denoiser: (x, t) => denoiser(x, tOnly(t)),
          ...(logits === undefined ? {} : { logits: (x, t) => logits(x, tOnly(t)) }),
        };
      },
    },
  ],
  [
    // Training tells it, so the gradient is another one, too.
    "a map that is not told where it jumps",
    ["conditioning", "stop-gradient"],
    {
      mapDenoiser(flow, model) {
        const right = mapDenoiser(flow, model);
        return {
          ...right,
          denoiser: (x, s) => right.denoiser(x, s, s),
          ...(right.logits === undefined ? {} : { logits: (x, s) => right.logits?.(x, s, s) as never }), // as asked
        };
      },
    },
  ],
  [
    "training at t instead of τ",
    ["training judges what is sampled"],
    {
      flowTokenLoss: (flow, model, rows) => declaredFlowTokenLoss(flow, model, { ...rows, t: tOnly(rows.t) }),
    },
  ],
  [
    "training with another loss",
    ["training judges what is sampled"],
    { flowTokenLoss: (flow, model, rows) => mul(declaredFlowTokenLoss(flow, model, rows), 0.5) },
  ],
  [
    "a target without stop-gradient",
    ["stop-gradient"],
    {
      mapTokenLoss({ flow, loss, objective }, model, { tokens, noise, s, u, t }) {
        const student = mapDenoiser(flow, model);
        const x = flow.state(noise, model.space.clean(tokens, model.network.embedding(model.params)), s.t);
        const target = objective.target({ student, instant: diagonalOf(student) }, { x, s, u, t });
        return judged(loss, target, student.denoiser(x, s, t), student.logits?.(x, s, t));
      },
    },
  ],
];

describe("a network as a denoiser", () => {
  it.each([fmlm(9), fmlmLagrangian(9)])("of $name passes", async (map) => {
    expect(await failed(map)).toEqual([]);
  });

  it.each(mistakes)("%s is caught", async (_what, names, parts) => {
    expect(await failed(fmlm(9), parts)).toEqual(names);
  });

  it("is looked at where there are logits", async () => {
    await expect(verifyNetwork(shortcut)).rejects.toThrow("predicts a velocity.");
    await expect(verifyNetwork(fmlm(9), { cases: 0 })).rejects.toThrow("at least one case, whole, got 0.");
  });
});
