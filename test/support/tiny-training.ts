/**
 * A whole training that takes a second: FLM and FMLM of a few weights, what it leaves behind, and a clock that counts steps.
 * Consumed by the tests of trainings that lose their device.
 */
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, vi } from "vitest";
import type { Device } from "../../src/runtime/device.ts";
import { prepareCorpus } from "../../src/runtime/text/documents.ts";
import { createRun } from "../../src/runtime/files/run-folder.ts";
import type { RunFolder } from "../../src/runtime/files/run-folder.ts";
import type { ReopenableDevice } from "../../src/runtime/reopenable.ts";
import { PRESETS } from "../../src/runtime/training/config.ts";
import type { TrainingConfig } from "../../src/runtime/training/config.ts";
import { train } from "../../src/runtime/training/trainer.ts";
import type { TrainingHooks } from "../../src/runtime/training/trainer.ts";
import { storyDocuments } from "./story.ts";

const { quick } = PRESETS;

/** A configuration with so many steps of each phase. */
export const tinyConfig = (flm: number, fmlm: number): TrainingConfig => ({
  ...quick,
  network: { ...quick.network, length: 4, width: 8, depth: 1, heads: 2, conditioning: 4 },
  // Averages that are far from both the first and the last weights.
  emaDecay: 0.9,
  flm: { ...quick.flm, steps: flm, batch: 4, warmup: 2 },
  fmlm: { ...quick.fmlm, steps: fmlm, batch: 8, warmup: 2 },
});

export const tinyText = prepareCorpus(
  { name: "story", documents: storyDocuments(600) },
  { tokens: "words", vocabularySize: 40, unknown: "cut", minimumSplitTokens: 6 },
);

const folders: string[] = [];
afterAll(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
});

/** A new run, whose folder is removed after the last test of the file. */
export async function newRun(config: TrainingConfig): Promise<RunFolder<TrainingConfig>> {
  const folder = await mkdtemp(join(tmpdir(), "fluxion-training-"));
  folders.push(folder);
  return createRun(join(folder, "run"), config);
}

/** Seconds between saved states, on the clock of {@link trained}: a state is saved after every third step. */
const SAVE = 3;

/** What a training left and told. */
export interface Trained {
  /** The weights of both models, the metrics, and of each phase the state before its last step: parameters, optimizer, averages. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly notes: readonly string[];
  /** Where each phase began or went on. */
  readonly begins: readonly string[];
}

/**
 * Trains what is left of a run, on a clock by which every step takes a second, and the one before the last so long that a state is
 * saved.
 */
export async function trained(
  device: Device | ReopenableDevice,
  run: RunFolder<TrainingConfig>,
  hooks: Partial<TrainingHooks> = {},
): Promise<Trained> {
  const { config } = run;
  const files = new Map<string, Buffer>();
  const [notes, begins]: [string[], string[]] = [[], []];
  let seconds = 0;
  const clock = vi.spyOn(Date, "now").mockImplementation(() => seconds * 1000);
  try {
    await train(
      run,
      tinyText,
      device,
      {
        ...hooks,
        note(line) {
          hooks.note?.(line);
          notes.push(line);
        },
        begin(phase, step, ...rest) {
          hooks.begin?.(phase, step, ...rest);
          begins.push(`${phase.toUpperCase()} ${step}`);
        },
        step(phase, step, report) {
          const last = config[phase].steps - 1;
          seconds += step === last - 1 ? SAVE : 1;
          if (step === last)
            files.set(`the state of ${phase}`, readFileSync(join(run.dir, "state.safetensors")));
          hooks.step?.(phase, step, report);
        },
        ...(hooks.sample === undefined ? {} : { sample: hooks.sample }),
        end: (phase) => hooks.end?.(phase),
        stopped: () => hooks.stopped?.() ?? false,
      },
      { save: SAVE, sample: 0 },
    );
  } finally {
    clock.mockRestore();
  }
  for (const name of ["flm.safetensors", "fmlm.safetensors", "metrics.jsonl"])
    files.set(name, await readFile(join(run.dir, name)));
  return { files, notes, begins };
}

/** What differs between two trainings. */
export function differences(actual: Trained, expected: Trained): readonly string[] {
  const names = [...new Set([...actual.files.keys(), ...expected.files.keys()])];
  return names.filter(
    (name) => actual.files.get(name)?.equals(expected.files.get(name) ?? Buffer.of()) !== true,
  );
}
