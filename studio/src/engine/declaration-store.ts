/**
 * The declaration of the run that is looked at, where that is in a user's file: whether the file was given, and whether it runs. It runs
 * when the visitor says so, and until another run is looked at. Consumed by client.ts, and by page/parts/declaration.tsx.
 */
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";
import type { Declarations } from "./declared.ts";
import type { RunDetail } from "./protocol.ts";

export interface DeclarationStore {
  /** Undefined for a run whose declaration is the package's. */
  readonly phase: ReadonlySignal<"missing" | "kept" | "starting" | "running" | undefined>;
  /** Takes a file for the run that is looked at, and runs it if it is the one that the run was trained with. */
  give(file: File): Promise<void>;
  /** Runs the file that was given, whatever it is. */
  start(): Promise<void>;
  /** Ends it, also where it never would. */
  stop(): Promise<void>;
  /** Another run is looked at. What trains goes on. */
  left(id: string): void;
}

interface Around {
  readonly run: ReadonlySignal<RunDetail | undefined>;
  readonly training: ReadonlySignal<string | undefined>;
  readonly declarations: Declarations;
  attempt<T>(what: string, task: () => Promise<T>): Promise<T | undefined>;
  show(detail: RunDetail): void;
  say(note: string): void;
}

export function declarationStore(around: Around): DeclarationStore {
  const { run, training, declarations, attempt, show, say } = around;
  const { engine } = declarations;
  const at = signal<{ readonly id: string; readonly phase: "starting" | "running" } | undefined>(undefined);

  /** A file that is being taken: what is run next is that one. */
  let taking: Promise<unknown> = Promise.resolve();

  async function start(): Promise<void> {
    await taking;
    const { id, declared } = run.value ?? {};
    if (id === undefined || declared?.given === undefined) return;
    const { name } = declared.given;
    const own = (at.value = { id, phase: "starting" });
    say(`${name} is being run.`);
    const detail = await attempt(`${name} could not be run`, () => declarations.run(id));
    if (at.value !== own) return; // stopped, or another one was begun
    at.value = detail === undefined ? undefined : { id, phase: "running" };
    if (detail === undefined || run.value?.id !== id) return;
    show(detail);
    say(`${name} runs.`);
  }

  /** @returns whether it is the file that the run was trained with */
  async function take(file: File): Promise<boolean> {
    const id = run.value?.id;
    if (id === undefined) return false;
    const detail = await attempt(`${file.name} could not be taken`, () =>
      engine.give(id, file, "declaration"),
    );
    if (detail === undefined) return false; // what runs goes on
    if (at.value?.id === id) at.value = undefined;
    if (run.value?.id !== id) return false;
    show(detail);
    return detail.declared?.given?.same === true;
  }

  async function stop(): Promise<void> {
    const id = at.value?.id;
    at.value = undefined;
    await declarations.stop();
    if (id === undefined || run.value?.id !== id) return;
    const detail = await attempt("The run could not be opened", () => engine.run(id));
    if (detail !== undefined && run.value?.id === id) show(detail);
  }

  return {
    phase: computed(() => {
      const { id, declared } = run.value ?? {};
      if (declared === undefined) return undefined;
      return at.value?.id === id ? at.value?.phase : declared.given === undefined ? "missing" : "kept";
    }),
    async give(file) {
      const taken = take(file);
      taking = taken;
      if (await taken) await start();
    },
    start,
    stop,
    left(id) {
      if (at.value === undefined || at.value.id === id || training.value === at.value.id) return;
      at.value = undefined;
      void declarations.stop();
    },
  };
}
