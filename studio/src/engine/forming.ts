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
import type { Plane } from "./plane.ts";
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
function aboutPicture(flow: Flow, drawing: Drawing): Pick<Forming, "about" | "unmoved"> {
  const { name, predicts, source } = flow;
  const points = `The network of "${name}" predicts a ${predicts}, a point and no distribution: the word is the one nearest to where it says that the state goes.`;
  const masks = `States of "${name}" have no way through a plane: every token is the same mask until it is drawn, and then a word.`;
  const drawn =
    "Words are drawn on the way: an arrow goes to what the network expects, the state to the word that was drawn.";
  const isMask = source.support === "point";
  return {
    about: [...(saysTokens(flow) ? [] : [points]), ...("draws" in drawing && !isMask ? [drawn] : [])],
    ...(isMask ? { unmoved: masks } : {}),
  };
}

/** What the program gives, of one text. */
interface Given<T> {
  readonly tokens: T;
  readonly said: T;
  readonly place: T;
  readonly expected: T;
  readonly end: T;
  readonly table: T;
  /** Of networks that say distributions. */
  readonly top?: T;
  readonly probability?: T;
  readonly entropy?: T;
}

type Numbers = Float32Array | Int32Array;

/** Reads it, and disposes of it. */
async function numbersOf(output: Given<DeviceValue>): Promise<Given<Numbers>> {
  const read = Object.entries(output as unknown as Readonly<Record<string, DeviceValue>>).map(
    async ([name, value]) => [name, (await value.read()).data] as const,
  );
  const entries = await Promise.all(read).finally(() => disposeTree(output));
  return Object.fromEntries(entries) as unknown as Given<Numbers>; // under the names that were read
}

/** The part of a call of what there is of all calls. */
function partOf<T extends Numbers | undefined>(all: T, call: number, calls: number): T {
  const size = (all?.length ?? 0) / calls;
  return all?.subarray(call * size, (call + 1) * size) as T; // of the same kind
}

/** How a text is told in moments. */
interface Telling {
  /** Of every call, and of the end. */
  readonly taus: readonly number[];
  readonly vocabulary: Vocabulary;
  readonly length: number;
  readonly plane: Plane | undefined;
  /** Whether tokens are drawn: then those of the end are certain, whatever was said last. */
  readonly drawn: boolean;
}

const certain = (ids: Numbers, { tokens }: Vocabulary): FormingMoment["top"] =>
  Array.from(ids, (id) => [{ token: tokens[id] ?? "", probability: 1 }]);

/** What the network said in a call. */
function saidIn(
  given: Given<Numbers>,
  call: number,
  { taus, vocabulary, length }: Telling,
): Pick<FormingMoment, "top" | "entropy"> {
  const calls = taus.length - 1;
  const [ids, shares, entropy] = [given.top, given.probability, given.entropy].map((all) =>
    partOf(all, call, calls),
  );
  if (ids === undefined || entropy === undefined)
    return { top: certain(partOf(given.said, call, calls), vocabulary) };
  const shown = ids.length / length;
  return {
    top: Array.from({ length }, (_, i) =>
      Array.from(ids.subarray(i * shown, (i + 1) * shown), (id, k) => ({
        token: vocabulary.tokens[id] ?? "",
        probability: shares?.[i * shown + k] ?? 0,
      })),
    ),
    entropy: [...entropy],
  };
}

function momentsOf(given: Given<Numbers>, telling: Telling): readonly FormingMoment[] {
  const { taus, vocabulary, length, plane, drawn } = telling;
  const calls = taus.length - 1;
  const way = (from: Numbers, to: Numbers): Pick<FormingMoment, "plane"> => {
    if (plane === undefined) return {};
    const ends = plane.project(to as Float32Array); // states are
    return {
      plane: plane.project(from as Float32Array).map(([x, y], i) => {
        const [endX, endY] = ends[i] ?? [x, y];
        return { x, y, dx: endX - x, dy: endY - y };
      }),
    };
  };
  return taus.map((tau, i) => {
    if (i < calls) {
      const [from, to] = [partOf(given.place, i, calls), partOf(given.expected, i, calls)];
      return { tau, ...saidIn(given, i, telling), ...way(from, to) };
    }
    // At the end the state is what was said last, or what was drawn.
    const text = drawn
      ? { top: certain(given.tokens, vocabulary), entropy: Array<number>(length).fill(0) }
      : saidIn(given, calls - 1, telling);
    return { tau, ...text, ...way(given.end, given.end) };
  });
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

  return {
    async form(params, seed) {
      const began = performance.now();
      const keys = keyData(fold(textsKey(seed), 0));
      const output = (await watching.run({ params, keys } as never)) as unknown as Given<DeviceValue>;
      const given = await numbersOf(output);
      const milliseconds = performance.now() - began;
      const plane =
        about.unmoved === undefined ? principalPlane(given.table as Float32Array, width) : undefined;
      return {
        ...about,
        moments: momentsOf(given, { taus, vocabulary, length, plane, drawn }),
        text: decode(vocabulary, given.tokens),
        milliseconds,
      };
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
