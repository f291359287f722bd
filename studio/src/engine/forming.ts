/**
 * A text on its way from noise: what the network says of every position between steps, and where the states are in a plane. It is written
 * by the sampler of the run's model, FLM or what somebody declared, while it is watched; so the text at the end is the sample of the same seed.
 *
 * Consumed by models.ts and summary.ts.
 */
import { decode } from "../../../src/models/data/index.ts";
import type { Vocabulary } from "../../../src/models/data/index.ts";
import type { Fn } from "../../../src/dsl/index.ts";
import type { Flow } from "../../../src/models/flow/flow.ts";
import { fold } from "../../../src/models/flow/host-random.ts";
import { evenTimes } from "../../../src/models/flow/samplers/schedule.ts";
import { keyData } from "../../../src/models/training/batches.ts";
import { saysTokens, watchingProgram } from "../../../src/models/training/watching.ts";
import { compile, disposeTree } from "../../../src/runtime/compile.ts";
import type { Device, DeviceValue } from "../../../src/runtime/device.ts";
import { refusalError, UserError } from "../../../src/runtime/files/errors.ts";
import { ownDrawing } from "../../../src/runtime/training/model-sampler.ts";
import type { Drawing, SampledModel } from "../../../src/runtime/training/model-sampler.ts";
import { textsKey } from "../../../src/runtime/training/texts.ts";
import { principalPlane } from "./plane.ts";
import type { Forming, FormingMoment } from "./protocol.ts";

/** Tokens that a moment shows of each position. */
const SHOWN = 8;

/** What shows texts forming in a number of steps, compiled. */
export interface Former {
  form(params: unknown, seed: number): Promise<Forming>;
  dispose(): Promise<void>;
}

/** Why nobody can watch how texts of a flow form; undefined where one can. */
export function unwatched({ name, interpolant, predicts }: Flow): string | undefined {
  if (interpolant.length === undefined || predicts === "clean token") return undefined;
  return `How a text forms cannot be watched here: "${name}" gives every token a time of its own and predicts a ${predicts}, and the sampler of such flows keeps no trace of its steps.`;
}

/** The drawing's steps, if they can be watched. */
function watchable(drawing: Drawing, flow: Flow): Exclude<Drawing, { readonly tolerance: number }> {
  if ("tolerance" in drawing) throw new UserError(unwatched(flow) ?? "How a text forms cannot be watched.");
  return drawing;
}

/** What is to be said of a picture that is not the usual one. */
function aboutPicture(flow: Flow, drawing: Drawing): readonly string[] {
  const { name, predicts, source } = flow;
  return [
    ...(saysTokens(flow)
      ? []
      : [
          `The network of "${name}" predicts a ${predicts}, which is a point and no distribution: the word is the one nearest to where the state goes.`,
        ]),
    ...("draws" in drawing && source.support !== "point"
      ? [
          "Tokens are drawn on the way: an arrow goes to what the network expects, the state to the token that was drawn.",
        ]
      : []),
    ...(source.support === "point"
      ? [
          `Tokens of "${name}" have no way through a plane: each is the same mask until it is drawn, and then a word.`,
        ]
      : []),
  ];
}

/** What the program gives, of one text. */
interface Outputs {
  readonly tokens: DeviceValue;
  readonly said: DeviceValue;
  readonly place: DeviceValue;
  readonly expected: DeviceValue;
  readonly end: DeviceValue;
  readonly table: DeviceValue;
  /** Of networks that say distributions. */
  readonly top?: DeviceValue;
  readonly probability?: DeviceValue;
  readonly entropy?: DeviceValue;
}

type AnyFn = Fn<Record<string, never>, Record<string, never>>;

/** Compiles it for one model, whose options are of one text at a time. @throws UserError for what cannot be watched */
export async function openFormer(
  device: Device,
  model: SampledModel,
  vocabulary: Vocabulary,
  steps: number,
): Promise<Former> {
  const { options, spec, subject } = model;
  const { flow } = subject;
  const { length, width } = options.network;
  const schedule = watchable(ownDrawing(model, steps), flow);
  const watching = await compiled(() =>
    // Named inputs and outputs, of whatever network.
    compile(watchingProgram(options, spec as never, { flow, schedule, shown: SHOWN }) as unknown as AnyFn, {
      device,
      name: "a text forming",
    }),
  );
  const taus =
    "calls" in schedule
      ? [...schedule.calls.map(({ time }) => time.tau), schedule.end.tau]
      : evenTimes(flow, steps).map(({ tau }) => tau);
  const about = aboutPicture(flow, schedule);
  const drawn = "draws" in schedule || schedule.endpoint === "drawn";
  const moves = flow.source.support !== "point";

  return {
    async form(params, seed) {
      const began = performance.now();
      const keys = keyData(fold(textsKey(seed), 0));
      const output = (await watching.run({ params, keys } as never)) as unknown as Outputs;
      const numbers = async (value: DeviceValue | undefined) =>
        value === undefined ? undefined : ((await value.read()).data as Float32Array | Int32Array);
      const [tokens, said, place, expected, end, table, top, probability, entropy] = await Promise.all(
        [
          output.tokens,
          output.said,
          output.place,
          output.expected,
          output.end,
          output.table,
          output.top,
          output.probability,
          output.entropy,
        ].map(numbers),
      ).finally(() => disposeTree(output));
      const milliseconds = performance.now() - began;
      const calls = taus.length - 1;
      /** A call's part of what there is of all calls. */
      const part = (all: Float32Array | Int32Array | undefined, call: number) => {
        const size = (all?.length ?? 0) / calls;
        return all?.subarray(call * size, (call + 1) * size);
      };
      const word = (id: number | undefined): string => vocabulary.tokens[id ?? -1] ?? "";
      const certain = (ids: Float32Array | Int32Array | undefined): FormingMoment["top"] =>
        Array.from(ids ?? [], (id) => [{ token: word(id), probability: 1 }]);
      /** What the network said in a call. */
      const saying = (call: number): Pick<FormingMoment, "top" | "entropy"> => {
        const [ids, shares, entropies] = [part(top, call), part(probability, call), part(entropy, call)];
        if (ids === undefined || entropies === undefined) return { top: certain(part(said, call)) };
        const shown = ids.length / length;
        return {
          top: Array.from({ length }, (_, i) =>
            Array.from(ids.subarray(i * shown, (i + 1) * shown), (id, k) => ({
              token: word(id),
              probability: shares?.[i * shown + k] ?? 0,
            })),
          ),
          entropy: [...entropies],
        };
      };
      const plane = moves ? principalPlane(table as Float32Array, width) : undefined;
      const wayFrom = (from: Float32Array, to: Float32Array): Pick<FormingMoment, "plane"> => {
        if (plane === undefined) return {};
        const ends = plane.project(to);
        return {
          plane: plane.project(from).map(([x, y], i) => {
            const [endX, endY] = ends[i] ?? [x, y];
            return { x, y, dx: endX - x, dy: endY - y };
          }),
        };
      };
      // At the end the state is what was said last, or what was drawn.
      const decided = drawn ? { top: certain(tokens), entropy: Array<number>(length).fill(0) } : undefined;
      const moments = taus.map((tau, i): FormingMoment => {
        if (i === calls)
          return {
            tau,
            ...(decided ?? saying(calls - 1)),
            ...wayFrom(end as Float32Array, end as Float32Array),
          };
        return {
          tau,
          ...saying(i),
          ...wayFrom(part(place, i) as Float32Array, part(expected, i) as Float32Array),
        };
      });
      return { about, moments, text: decode(vocabulary, tokens as Int32Array), milliseconds };
    },
    dispose: () => watching.dispose(),
  };
}

/** Declaring a program and compiling it may both find that a flow does not allow what is asked. */
async function compiled<T>(make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    throw refusalError(error);
  }
}
