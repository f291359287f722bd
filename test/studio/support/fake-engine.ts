/**
 * An engine that computes nothing: what the page is shown without a device, in milliseconds. Losses fall along a curve, runs are kept
 * in the browser's own file system, texts are made of a few words. Built into a page by `buildStudio` in place of the worker.
 */
import { expose } from "comlink";
import type {
  Engine,
  EngineEvent,
  Forming,
  FormingMoment,
  LossPoint,
  RunDetail,
  RunSettings,
  RunSummary,
} from "../../../studio/src/engine/protocol.ts";

const WORDS =
  "<sep> <unk> the a of small river house that is made in water light with and stone old bird by".split(" ");

let listener: (event: EngineEvent) => void = () => undefined;
const kept = new Map<string, RunDetail>();
let current: { readonly id: string; stop: boolean; ended: Promise<void> } | undefined;

const folder = (): Promise<FileSystemDirectoryHandle> => navigator.storage.getDirectory();

async function save(run: RunDetail): Promise<void> {
  kept.set(run.id, run);
  const file = await (await folder()).getFileHandle(`${run.id}.json`, { create: true });
  const stream = await file.createWritable();
  await stream.write(JSON.stringify(run));
  await stream.close();
}

async function load(): Promise<void> {
  // The type of a directory's entries is not in TypeScript's library of workers.
  const entries = (await folder()) as unknown as AsyncIterable<[string, FileSystemFileHandle]>;
  for await (const [name, handle] of entries) {
    if (!name.endsWith(".json")) continue;
    const run = JSON.parse(await (await handle.getFile()).text()) as RunDetail;
    kept.set(run.id, { ...run, state: run.state === "training" ? "idle" : run.state });
  }
}

const summary = ({
  history: _h,
  tokens: _t,
  clock: _c,
  labels: _l,
  published: _p,
  ...rest
}: RunDetail): RunSummary => rest;

const known = (id: string): RunDetail => {
  const run = kept.get(id);
  if (run === undefined) throw new Error(`There is no run "${id}" in this browser`);
  return run;
};

const random =
  (seed: number) =>
  (i: number, j: number, k = 0) => {
    const x = Math.sin(seed * 12.9898 + i * 78.233 + j * 37.719 + k * 3.137) * 43758.5453;
    return x - Math.floor(x);
  };

function detailOf(settings: RunSettings, text: string): RunDetail {
  const { flmSteps = 120, fmlmSteps = 60, length = 8 } = settings;
  return {
    id: `run-${Date.now()}`,
    created: new Date().toISOString(),
    state: "training",
    text,
    models: [],
    done: 0,
    steps: flmSteps + fmlmSteps,
    bytes: 412_000,
    settings: {
      seed: settings.seed ?? 1,
      vocabulary: WORDS.length,
      length,
      width: settings.width ?? 64,
      depth: settings.depth ?? 2,
      heads: settings.heads ?? 4,
      batch: settings.batch ?? 64,
      flmSteps,
      fmlmSteps,
    },
    history: [],
    tokens: WORDS,
    clock: Array.from({ length: 65 }, (_, i) => 1 / (1 + Math.exp(-12 * (i / 64 - 0.6)))),
    labels: { flm: "FLM", fmlm: "FMLM" },
    published: true,
  };
}

async function train(id: string, loop: { stop: boolean }): Promise<void> {
  let run = known(id);
  const noise = random(run.settings.seed);
  const { flmSteps, batch, length } = run.settings;
  for (let done = run.done; done < run.steps && !loop.stop; done++) {
    const phase = done < flmSteps ? "flm" : "fmlm";
    const step = phase === "flm" ? done : done - flmSteps;
    if (step === 0) listener({ kind: "preparing", run: id, phase });
    await new Promise((resolve) => setTimeout(resolve, 4));
    const loss =
      (phase === "flm" ? 1.1 + 2 * Math.exp(-step / 30) : 0.9 + 0.9 * Math.exp(-step / 15)) +
      0.25 * (noise(step, 1) - 0.5);
    const point: LossPoint = { phase, step, loss, gradientNorm: 1 };
    const history = [...run.history, point];
    if (step % 25 === 24) {
      const validation = loss + 0.1;
      history.push({ phase, step, validation });
      listener({ kind: "validation", run: id, phase, step, validation });
    }
    run = { ...run, history, done: done + 1 };
    kept.set(id, run);
    listener({
      kind: "step",
      run: id,
      phase,
      done: step + 1,
      steps: phase === "flm" ? flmSteps : run.settings.fmlmSteps,
      loss,
      gradientNorm: 1,
      tokensPerSecond: batch * length * 125,
      times: Array.from({ length: batch }, (_, i) => (i + noise(step, i)) / batch),
    });
    if (step % 40 === 39) {
      run = { ...run, models: phase === "flm" ? ["flm"] : ["flm", "fmlm"] };
      kept.set(id, run);
      listener({ kind: "state", run: summary(run) });
      listener({ kind: "texts", run: id, phase, texts: [0, 1, 2].map((i) => textOf(length, step + i)) });
    }
  }
  const state = run.done === run.steps ? "finished" : "idle";
  run = { ...run, state, models: run.done > flmSteps ? ["flm", "fmlm"] : run.done > 0 ? ["flm"] : [] };
  await save(run);
  listener({ kind: "state", run: summary(run) });
}

const begin = (id: string): void => {
  const loop = { id, stop: false, ended: Promise.resolve() };
  loop.ended = train(id, loop);
  current = loop;
};

const wordAt = (seed: number, i: number): string =>
  WORDS[2 + Math.floor(random(seed)(i, 0) * (WORDS.length - 2))] ?? "the";
const textOf = (length: number, seed: number): string =>
  Array.from({ length }, (_, i) => wordAt(seed, i)).join(" ");

function momentOf(length: number, seed: number, tau: number): FormingMoment {
  const noise = random(seed);
  const sharp = Array.from({ length }, (_, i) => Math.min(1, 0.12 + tau ** (0.6 + 2 * noise(i, 5)) * 0.9));
  return {
    tau,
    top: sharp.map((p, i) => {
      const best = { token: tau < 0.3 * noise(i, 9) ? "the" : wordAt(seed, i), probability: p };
      const others = [1, 2, 3, 4].map((k) => ({
        token: wordAt(seed + k, i),
        probability: ((1 - p) * 0.5) / k,
      }));
      return [best, ...others];
    }),
    entropy: sharp.map((p) => -Math.log(p) + (1 - p) * 1.5),
    plane: sharp.map((_, i) => {
      const [x, y] = [4 * (noise(i, 6) - 0.5), 3 * (noise(i, 7) - 0.5)];
      const [ex, ey] = [2 * noise(i, 2) - 1, 2 * noise(i, 3) - 1];
      const bend = Math.sin(Math.PI * tau) * 0.5;
      return {
        x: x + (ex - x) * tau + bend,
        y: y + (ey - y) * tau - bend,
        dx: (ex - x) / 16,
        dy: (ey - y) / 16,
      };
    }),
  };
}

/** Asks another origin for something, and says what kept it from doing so. */
async function reachOut(): Promise<string> {
  const violation = new Promise<string>((resolve) => {
    addEventListener("securitypolicyviolation", (event) => {
      resolve((event as SecurityPolicyViolationEvent).violatedDirective); // the name of the event says so
    });
  });
  await fetch("https://example.org/").catch(() => undefined);
  return `${await violation} holds in the worker`;
}

let stopExplaining = (): void => undefined;

const engine: Engine = {
  async open(hear) {
    listener = hear;
    await load();
    return {
      device: {
        name: "fake",
        detail: "No device: numbers of a test.",
        passedOver: ["WebGPU is not asked for."],
      },
      runs: [...kept.values()].map(summary),
    };
  },
  runs: async () => [...kept.values()].map(summary),
  run: async (id) => known(id),
  async start(settings, text) {
    if (settings.vocabularySize === 666) throw new Error("The text has 12 documents, and 20 are needed");
    const run = detailOf(settings, text.kind === "bundled" ? "WordNet definitions" : text.file.name);
    await save(run);
    begin(run.id);
    return run;
  },
  async pause() {
    if (current === undefined) return;
    current.stop = true;
    await current.ended;
    current = undefined;
  },
  async resume(id) {
    const run: RunDetail = { ...known(id), state: "training" };
    kept.set(id, run);
    begin(id);
    return run;
  },
  async remove(id) {
    kept.delete(id);
    await (await folder()).removeEntry(`${id}.json`);
  },
  async importRun(files) {
    if (files[0]?.name === "reach-out.json") throw new Error(await reachOut());
    if (!files.some(({ name }) => name === "config.json"))
      throw new Error(`${files[0]?.name ?? "What was dropped"} is not a run: config.json is missing`);
    const run: RunDetail = {
      ...detailOf({ preset: "quick" }, "a dropped run"),
      state: "imported",
      models: ["flm", "fmlm"],
      // Of a user's declaration, whose file is to be given.
      ...(files.some(({ name }) => name === "declared.json")
        ? {
            declared: { file: "own-flow.ts", export: "leaps" },
            clock: [],
            published: false,
            unwatched: "It is seen once it runs.",
          }
        : {}),
    };
    await save(run);
    return run;
  },
  async give(id, { name, size }) {
    const { declared, ...rest } = known(id);
    if (declared === undefined) throw new Error("It needs no file");
    // A file of one byte is another one than that of the run.
    const run = { ...rest, declared: { ...declared, given: { name, same: size === 1 ? false : undefined } } };
    await save(run);
    return run;
  },
  declaration: async () => ({ name: "own-flow.ts", text: "export const leaps = 1;" }),
  exportRun: async (id) => [{ name: "config.json", blob: new Blob([JSON.stringify(known(id).settings)]) }],
  async sample({ run, steps, count, seed = 1, infill }) {
    const { length } = known(run).settings;
    const given = infill?.split(" ") ?? [];
    const texts = Array.from({ length: count }, (_, k) =>
      Array.from({ length }, (_, i) =>
        given[i] !== undefined && given[i] !== "_" ? given[i] : wordAt(seed + 7 * k, i),
      ).join(" "),
    );
    return { texts, milliseconds: 3.4 * steps, compiling: 0 };
  },
  async form({ run, model, steps, seed }): Promise<Forming> {
    const { length } = known(run).settings;
    const n = model === "fmlm" ? steps : steps;
    const moments = Array.from({ length: n + 1 }, (_, i) => momentOf(length, seed, i / n));
    return { about: [], moments, text: textOf(length, seed), milliseconds: 3.4 * n };
  },
  explain(run) {
    listener({ kind: "explaining", run, progress: { stage: "compiling", done: 3, total: 9 } });
    // As if it took for ever.
    if (known(run).settings.seed === 7)
      return new Promise((_, reject) => {
        stopExplaining = () => reject(new Error("Stopped."));
      });
    return Promise.reject(new Error("The fake engine has no kernels"));
  },
  stopExplaining: async () => stopExplaining(),
};

expose(engine);
