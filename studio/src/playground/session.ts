/**
 * What the playground is at: the text, the question that is being answered, its answers and those before them. It outlives the tab's
 * component, so that leaving the tab loses nothing; the text outlives the page.
 *
 * Consumed by playground.tsx and what it is made of.
 */
import { batch, computed, effect, signal } from "@preact/signals";
import { located } from "../user-code/blob.ts";
import { sentenceOf as sentenceIn } from "../user-code/problem.ts";
import type { Outcome, Problem, Transpiled } from "../user-code/problem.ts";
import { inSandbox } from "./sandbox.ts";
import { FILE } from "./messages.ts";
import type {
  Progress,
  Runner,
  ToyCurve,
  ToyResult,
  ToySettings,
  VerifyAnswer,
  VerifySettings,
} from "./messages.ts";
import { STARTERS } from "./starters.ts";
import { typeScript } from "./types/client.ts";

const STORED = "fluxion.playground";

/** The stored text; storage may be forbidden. */
function stored(): string | undefined {
  try {
    return localStorage.getItem(STORED) ?? undefined;
  } catch {
    return undefined;
  }
}

export const source = signal(stored() ?? STARTERS[0]?.source ?? "");

effect(() => {
  const text = source.value;
  try {
    localStorage.setItem(STORED, text);
  } catch {
    // Full or forbidden: the text stays in the page.
  }
});

/** What is being answered, if anything. */
export const running = signal<"verify" | "train" | undefined>(undefined);
export const progress = signal<Progress | undefined>(undefined);
/** Losses of the training that goes on. */
export const curves = signal<readonly ToyCurve[]>([]);
/** What went wrong with the last question. */
export const problems = signal<readonly Problem[]>([]);
/** What the code printed. */
export const printed = signal<readonly string[]>([]);
/** How the last question ended, for those who do not see it. */
export const said = signal("");

/** A result with the one before it. */
export interface Kept<T> {
  readonly now?: T;
  readonly before?: T;
  /** What `now` is of. */
  readonly text?: string;
}
export const verified = signal<Kept<VerifyAnswer>>({});
export const trained = signal<Kept<ToyResult>>({});
/** The text that `said` is about. */
const saidOf = signal<string | undefined>(undefined);

const isOld = (text: string | undefined): boolean => text !== undefined && text !== source.value;
/** What is shown, and is not of the text as it stands. */
export const old = {
  verified: computed(() => isOld(verified.value.text)),
  trained: computed(() => isOld(trained.value.text)),
  said: computed(() => isOld(saidOf.value)),
};

const moved = <T>({ now }: Kept<T>, { value, text }: Answer<T>): Kept<T> => ({
  now: value,
  ...(now === undefined ? {} : { before: now }),
  text,
});

/** Forgets what was found out: another program begins, and nothing of this one is to be compared with it. */
export function startAfresh(name: string): void {
  stop();
  controller = undefined;
  batch(() => {
    verified.value = {};
    trained.value = {};
    curves.value = [];
    problems.value = [];
    printed.value = [];
    running.value = undefined;
    progress.value = undefined;
    saidOf.value = undefined;
    said.value = `The text is “${name}” now.`;
  });
}

let controller: AbortController | undefined;

/** Ends what is being answered, also code that never would. */
export const stop = (): void => controller?.abort();

type Ask<T> = Parameters<typeof inSandbox<T>>[1];

/** What is done with an answer once its lines can be looked up. */
type Settle<T> = (value: T, map: Pick<Transpiled, "mappings">) => T;

/** An answer, and the text that it is of. */
interface Answer<T> {
  readonly value: T;
  readonly text: string;
}

/** Asks a question of what is in the editor. */
async function asked<T>(
  kind: "verify" | "train",
  ask: Ask<T>,
  settle: Settle<T> = (value) => value,
): Promise<Answer<T> | undefined> {
  stop();
  const own = new AbortController();
  controller = own;
  const text = source.value;
  running.value = kind;
  progress.value = undefined;
  problems.value = [];
  printed.value = [];
  said.value = "";
  saidOf.value = undefined;
  if (kind === "train") curves.value = [];
  const isOwn = (): boolean => controller === own && !own.signal.aborted;
  try {
    const outcome = await outcomeOf(own.signal, ask, isOwn, settle);
    if (controller !== own) return undefined;
    if (outcome === undefined) said.value = "Stopped.";
    else {
      saidOf.value = text;
      if (outcome.ok) return { value: outcome.value, text };
      problems.value = [outcome.problem];
      said.value = sentenceOf(outcome.problem);
    }
    return undefined;
  } finally {
    if (controller === own) {
      running.value = undefined;
      progress.value = undefined;
    }
  }
}

async function outcomeOf<T>(
  signal: AbortSignal,
  ask: Ask<T>,
  isOwn: () => boolean,
  settle: Settle<T>,
): Promise<Outcome<T> | undefined> {
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const transpiled = await Promise.race([typeScript().transpile(source.value), aborted]).catch(
    (error: unknown) => error,
  );
  if (transpiled === undefined) return undefined;
  if (transpiled instanceof Error) return { ok: false, problem: { message: transpiled.message } };
  const code = transpiled as Transpiled; // no error, as asked
  const [problem] = code.problems;
  if (problem !== undefined) return { ok: false, problem };
  const outcome = await inSandbox(code, ask, {
    signal,
    onProgress: (next) => {
      if (isOwn()) follow(next);
    },
    onPrint: (line) => {
      if (isOwn()) printed.value = [...printed.value, line];
    },
  }).catch((error: unknown): Outcome<T> => {
    // What the code declares may hold what no message between workers can, a function for a name.
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, problem: { message: `The answer could not be sent to the page: ${reason}` } };
  });
  return outcome?.ok === true ? { ok: true, value: settle(outcome.value, code) } : outcome;
}

function follow(next: Progress): void {
  progress.value = next;
  const { what, losses } = next;
  if (losses === undefined) return;
  const others = curves.value.filter(({ model }) => model !== what);
  const known = curves.value.find(({ model }) => model === what)?.losses ?? [];
  curves.value = [...others, { model: what, losses: [...known, ...losses] }];
}

/** A problem with its line, as a sentence. */
export const sentenceOf = (problem: Problem): string => sentenceIn(problem, FILE);

export async function verify(settings: VerifySettings): Promise<void> {
  const ask = (runner: Runner, ...hooks: Hooks) => runner.verify(settings, ...hooks);
  const answer = await asked("verify", ask, (value, map) => ({
    ...value,
    places: value.places.map(({ variant, identity, ...problem }) => ({
      variant,
      identity,
      ...located(problem, map),
    })),
  }));
  if (answer === undefined) return;
  const { places, reports } = answer.value;
  verified.value = moved(verified.value, answer);
  // One line makes many identities impossible to compute; it is marked once.
  const marked = new Map(
    places
      .filter(({ line }) => line !== undefined)
      .map(({ message, line, column }) => [`${line} ${message}`, { message, line, column } as Problem]),
  );
  problems.value = [...marked.values()];
  const results = reports.flatMap(({ results }) => results);
  const failed = results.filter(({ passed }) => !passed).length;
  said.value =
    failed === 0
      ? `Verified: all ${results.length} identities hold.`
      : `Verified: ${failed} of ${results.length} identities fail.`;
}

type Hooks = [Parameters<Runner["verify"]>[1], Parameters<Runner["verify"]>[2]];

export async function train(settings: ToySettings): Promise<void> {
  const ask = (runner: Runner, ...hooks: Hooks) => runner.train(settings, ...hooks);
  const result = await asked("train", ask);
  if (result === undefined) return;
  trained.value = moved(trained.value, result);
  said.value = `Trained ${result.value.name} on two phrases.`;
}
