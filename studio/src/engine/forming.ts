/**
 * A text on its way from noise: what the network says of every position between steps, and where the states are in a plane. The states are
 * those of the sampler, so the text at the end is the sample of the same seed.
 *
 * Consumed by engine.ts.
 */
import { decode } from "../../../src/models/data/index.ts";
import type { Vocabulary } from "../../../src/models/data/index.ts";
import type { Fn } from "../../../src/dsl/index.ts";
import { outputSpec } from "../../../src/dsl/index.ts";
import { samplerFactor, samplerNoise, lookProgram } from "../../../src/models/training/programs.ts";
import { compile, disposeTree } from "../../../src/runtime/compile.ts";
import type { Device, DeviceValue } from "../../../src/runtime/device.ts";
import type { LoadedModel } from "../../../src/runtime/training/load-model.ts";
import { openModelSampler } from "../../../src/runtime/training/model-sampler.ts";
import type { PhaseName, Subject } from "../../../src/runtime/training/subject.ts";
import { textsKey } from "../../../src/runtime/training/texts.ts";
import { principalPlane } from "./plane.ts";
import type { Forming, FormingMoment } from "./protocol.ts";

/** Tokens that a moment shows of each position. */
const SHOWN = 8;

type AnyFn = Fn<Record<string, never>, Record<string, never>>;

/** What the looking program gives, of one text. */
interface Look {
  readonly probabilities: DeviceValue;
  readonly place: DeviceValue;
  readonly expected: DeviceValue;
}

/** The numbers of a moment. */
interface Seen {
  readonly probabilities: Float32Array;
  /** States and where they go to, [length, width]. */
  readonly place: Float32Array;
  readonly expected: Float32Array;
}

/** What shows texts forming, compiled. */
export interface Former {
  form(params: unknown, steps: number, seed: number): Promise<Forming>;
  dispose(): Promise<void>;
}

/** Compiles it for one model. `from` is of one text at a time. */
export async function openFormer(
  device: Device,
  { subject, name, gamma }: { readonly subject: Subject; readonly name: PhaseName; readonly gamma: number },
  vocabulary: Vocabulary,
  { options, spec }: Pick<LoadedModel, "options" | "spec">,
): Promise<Former> {
  const sampler = await openModelSampler(device, { subject, phase: name, options, spec, gamma });
  const factor = outputSpec(samplerFactor(options, spec as never) as unknown as Fn<never, unknown>);
  const { state } = outputSpec(samplerNoise(options, factor as never) as unknown as Fn<never, unknown>) as {
    readonly state: unknown;
  };
  // Named inputs and outputs, of whatever network.
  const looking = await compile(lookProgram(options, spec as never, state as never) as unknown as AnyFn, {
    device,
    name: "what the network says",
  });
  return {
    async form(params, steps, seed) {
      const prepared = await sampler.prepare(steps);
      const table = await tableOf(params);
      const plane = principalPlane(table, options.network.width);
      const moments: FormingMoment[] = [];
      let last: Seen | undefined;
      const began = performance.now();
      const { tokens } = await prepared.sample(params, 1, textsKey(seed), {
        async look(current, next) {
          // At the end, the state is what the last step said.
          const { tau, target } = next ?? { tau: 1, target: 1 };
          const input = { params, state: current, tau, target: target ?? 1 };
          const output = (await looking.run(input as never)) as unknown as Look;
          const [probabilities, place, expected] = await Promise.all(
            [output.probabilities, output.place, output.expected].map(
              async (value) => (await value.read()).data as Float32Array,
            ),
          ).finally(() => disposeTree(output));
          const seen = { probabilities, place, expected } as Seen; // three were asked for
          const said = next === undefined && last !== undefined ? last.probabilities : seen.probabilities;
          const to = next === undefined ? seen.place : seen.expected;
          moments.push(momentOf(tau, said, vocabulary, plane.project(seen.place), plane.project(to)));
          last = seen;
        },
      });
      await prepared.dispose();
      return { moments, text: decode(vocabulary, tokens), milliseconds: performance.now() - began };
    },
    async dispose() {
      await looking.dispose();
      await sampler.dispose();
    },
  };
}

/** The embeddings of all tokens, on the host. */
async function tableOf(params: unknown): Promise<Float32Array> {
  const { embedding } = params as { readonly embedding: DeviceValue }; // a tree of DitParams
  return (await embedding.read()).data as Float32Array;
}

type Points = readonly (readonly [number, number])[];

function momentOf(
  tau: number,
  probabilities: Float32Array,
  { tokens }: Vocabulary,
  from: Points,
  to: Points,
): FormingMoment {
  const vocab = tokens.length;
  const rows = from.map((_, i) => probabilities.subarray(i * vocab, (i + 1) * vocab));
  return {
    tau,
    top: rows.map((row) => best(row).map((id) => ({ token: tokens[id] ?? "", probability: row[id] ?? 0 }))),
    entropy: rows.map((row) => row.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0)),
    plane: from.map(([x, y], i) => {
      const [endX, endY] = to[i] ?? [x, y];
      return { x, y, dx: endX - x, dy: endY - y };
    }),
  };
}

/** The most probable tokens of a row, the best first. */
function best(row: Float32Array): readonly number[] {
  const found: number[] = [];
  for (let id = 0; id < row.length; id++) {
    const p = row[id] ?? 0;
    if (found.length === SHOWN && p <= (row[found[SHOWN - 1] ?? 0] ?? 0)) continue;
    const at = found.findIndex((other) => p > (row[other] ?? 0));
    found.splice(at < 0 ? found.length : at, 0, id);
    if (found.length > SHOWN) found.pop();
  }
  return found;
}
