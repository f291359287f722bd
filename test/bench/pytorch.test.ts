/**
 * What PyTorch is timed at beside Fluxion (bench/gpu/pytorch) are the same steps: sizes, numbers of parameters, settings of the update. Where
 * there is a Python with PyTorch (`python3`, or what FLUXION_PYTHON says), also the values of three steps, against the interpreter.
 */
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { rowsOf, stepOptions } from "../../bench/webgpu/flm-step.ts";
import type { StepName } from "../../bench/webgpu/flm-step.ts";
import { exactTensor } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { outputSpec, random, trace } from "../../src/dsl/index.ts";
import type { Fn } from "../../src/dsl/index.ts";
import { key } from "../../src/models/flow/host-random.ts";
import { OUTPUT_SOFTCAP } from "../../src/models/language/denoiser.ts";
import { keyData } from "../../src/models/training/batches.ts";
import { flmStep, initFlm } from "../../src/models/training/programs.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { weightsLayout } from "../../src/models/training/state.ts";
import { distance, evaluate, floats, words } from "../support/evaluate.ts";
import { ROOT } from "../support/stage.ts";

const NAMES: readonly StepName[] = ["tiny", "quick", "default", "small"];

describe("the steps in PyTorch", () => {
  it("have Fluxion's sizes", async () => {
    const sizes: unknown = JSON.parse(await readFile(join(ROOT, "bench/gpu/pytorch/sizes.json"), "utf8"));
    const { network, ...update } = stepOptions("small");
    const rate = rowsOf(stepOptions("tiny")).get("learningRate")?.data[0] ?? 0;
    expect(sizes).toEqual({
      cap: { attention: network.attentionSoftcap, output: OUTPUT_SOFTCAP },
      update: {
        learningRate: Number(rate.toPrecision(6)), // it is f32
        beta1: update.beta1,
        beta2: update.beta2,
        weightDecay: update.weightDecay,
        clip: update.clip,
        emaDecay: update.emaDecay,
      },
      steps: Object.fromEntries(
        NAMES.map((name) => {
          const { batch, network } = stepOptions(name);
          const { vocab, length, width, depth, heads, conditioning } = network;
          const parameters = weightsLayout(network).vectors.reduce((total, { size }) => total + size, 0);
          return [name, { batch, vocab, length, width, depth, heads, conditioning, parameters }];
        }),
      ),
    });
  });

  it("have no other parts than these", () => {
    for (const name of NAMES) {
      const { space, network } = stepOptions(name);
      const { mlpRatio, dropout, positions, targetTime, outputs } = network;
      expect({ space, mlpRatio, dropout, positions, targetTime, outputs }).toEqual({
        space: "projected",
        mlpRatio: 4,
        dropout: 0,
        targetTime: false,
      });
    }
  });
});

const PYTHON = process.env["FLUXION_PYTHON"] ?? "python3";

type Weights = Readonly<Record<string, readonly number[]>>;
type Values = ReadonlyMap<string, ExactTensor>;

/** Where a step leads. */
interface Followed {
  readonly loss: number;
  readonly norm: number;
  readonly params: Weights;
  readonly ema: Weights;
}

const KEY = words([2], keyData(key(2)));

/** Steps on one batch in the interpreter, and what is to be given to another that does the same. */
function followed(options: ModelOptions, count: number): { given: object; steps: readonly Followed[] } {
  const { network, batch } = options;
  const layout = weightsLayout(network);
  const init = trace(initFlm(options) as Fn<never, unknown>);
  const step = trace(flmStep(options, outputSpec(initFlm(options)) as never) as Fn<never, unknown>); // its structure is forgotten
  const weights = (values: Values, of: string): Weights =>
    Object.fromEntries(
      layout.leaves.map(({ path, vector, offset, size }) => {
        const { data = [] } = values.get(`state.${of}.vectors.${vector}`) ?? {};
        return [path, Array.from(data).slice(offset, offset + size)];
      }),
    );
  const named = (names: readonly string[], tensors: readonly ExactTensor[], before = ""): Values =>
    new Map(tensors.map((tensor, i) => [`${before}${names[i] ?? ""}`, tensor]));
  const initial = interpret(init.program, [words([2], keyData(key(1)))]).map((tensor, i) =>
    // Zeros would hide the blocks from the loss, and ones the norms' weights from each other.
    /^(params|ema)/.test(init.outputNames[i] ?? "")
      ? exactTensor("f32", tensor.shape, tensor.data.map((x, n) => x + 0.3 * Math.sin(13 * n + 1))) // prettier-ignore
      : tensor,
  );
  const shape = [batch, network.length, network.width];
  const normals = evaluate({ KEY }, ({ KEY }) => random.normal(random.split(KEY as never, 2)[0], shape));
  const times = { tau: [0.2, 0.5, 0.9], t: [0.1, 0.45, 0.85] };
  const rows = new Map(rowsOf(options));
  let values: Values = named(init.outputNames, initial, "state.");
  const parameters = weights(values, "params");
  const steps = Array.from({ length: count }, (): Followed => {
    const given: Values = new Map([
      ...Array.from(rows, ([name, { dtype, shape, data }]): [string, ExactTensor] => [
        name,
        exactTensor(dtype, shape, data),
      ]),
      ["tau", floats([batch], times.tau)],
      ["t", floats([batch], times.t)],
      ["key", KEY],
      ["learningRate", floats([], [1e-3])],
      ...values,
    ]);
    const inputs = step.inputNames.map((name) => given.get(name) as ExactTensor); // all are given
    const results = named(step.outputNames, interpret(step.program, inputs));
    values = new Map([...results].filter(([name]) => name.startsWith("state.")));
    const [loss = Number.NaN, norm = Number.NaN] = ["loss", "gradientNorm"].map(
      (name) => results.get(name)?.data[0],
    );
    return { loss, norm, params: weights(values, "params"), ema: weights(values, "ema") };
  });
  const { vocab, length, width, depth, heads, conditioning } = network;
  const sizes = { vocab, length, width, depth, heads, conditioning };
  const tokens = Array.from(rows.get("tokens")?.data ?? []);
  const noise = Array.from(normals.data);
  return { given: { sizes, batch, tokens, ...times, normals: noise, parameters, steps: count }, steps };
}

describe("the steps' values in PyTorch", () => {
  it("are the interpreter's", { timeout: 120_000 }, ({ skip }) => {
    const asked = spawnSync(PYTHON, ["-c", "import torch"], { encoding: "utf8" });
    if (asked.status !== 0) {
      const why = `${PYTHON} finds no PyTorch here`;
      console.log(`not compared with the interpreter: ${why}`);
      return skip(why);
    }
    const tiny = stepOptions("tiny");
    const network = { ...tiny.network, vocab: 40, length: 6, width: 16, depth: 2, heads: 2, conditioning: 8 };
    // Written down, and streamed as the small model's vocabulary is: chunks of 16 do not divide 40.
    for (const streamedVocabulary of [0, 16]) {
      const { given, steps } = followed({ ...tiny, batch: 3, network, streamedVocabulary }, 3);
      const script = join(ROOT, "bench/gpu/pytorch/follow.py");
      const options = { input: JSON.stringify(given), encoding: "utf8", maxBuffer: 2 ** 28 } as const;
      const { stdout, stderr, status } = spawnSync(PYTHON, [script], options);
      expect(status, stderr).toBe(0);
      const all = JSON.parse(stdout) as readonly Followed[];
      expect(all).toHaveLength(steps.length);
      for (const [i, found] of all.entries()) {
        const expected = steps[i] as Followed; // as many
        expect(Math.abs(found.loss - expected.loss)).toBeLessThan(1e-10);
        expect(Math.abs(found.norm - expected.norm)).toBeLessThan(1e-10);
        for (const of of ["params", "ema"] as const)
          for (const [path, values] of Object.entries(expected[of]))
            expect(distance(found[of][path] ?? [], values), `${of} ${path}, step ${i}`).toBeLessThan(1e-10);
      }
    }
  });
});
