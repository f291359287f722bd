/**
 * `npm run bench:objectives`: trains a flow on a small corpus and then a flow map by every objective, on the device `cpu`, and says what
 * their samples in one, two and four steps are worth. Results are kept as they come: who is in the file already is not trained again, so
 * a run that was stopped goes on where it was.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { flm } from "../../src/models/language/variants/index.ts";
import { UserError } from "../../src/runtime/files/errors.ts";
import { writeFileAtomic } from "../../src/runtime/files/atomic.ts";
import { openCpu } from "../../src/runtime/onnx/cpu-device.ts";
import { describeMachine, load } from "../machine.ts";
import { versions } from "../peers.ts";
import { formatMachine, toJson } from "../report.ts";
import { compete, identityOf, preparedFlow } from "./compete.ts";
import type { FlowResult, MapResult } from "./compete.ts";
import { CONTESTANTS } from "./contestants.ts";
import { sentenceCorpus, twoPhrases } from "./corpus.ts";
import { formatResults } from "./report.ts";
import type { ObjectivesReport } from "./report.ts";
import { SENTENCES, PHRASES } from "./settings.ts";
import type { Pace, Settings } from "./settings.ts";

const HELP = `npm run bench:objectives -- [options]
  --corpus NAME    sentences (default) or phrases
  --only NAME      one objective: ${CONTESTANTS.map(({ name }) => name).join("; ")}
  --seed N         of everything that is drawn (1)
  --steps N        steps of every flow map
  --flow N,B,X     steps of the flow, rows of each, and its largest learning rate
  --rate X         the largest learning rate of every flow map
  --samples N      samples of each kind (1024)
  --threads N      threads of ONNX Runtime (1)
  --out FILE       where results are kept; by default bench/results/<date>-objectives-<corpus>.json
  --again          trains those of the results file again`;

interface Options {
  readonly corpus: "sentences" | "phrases";
  readonly only: string | undefined;
  readonly seed: number;
  readonly settings: Settings;
  readonly samples: number;
  readonly threads: number;
  readonly out: string | undefined;
  readonly again: boolean;
}

/** @throws UserError unless these are a whole number, another, and a positive number */
function paceOf(text: string): Pace {
  const [steps = NaN, batch = NaN, learningRate = NaN, ...rest] = text.split(",").map(Number);
  const right = [steps, batch].every((n) => Number.isSafeInteger(n) && n >= 1) && learningRate > 0;
  if (!right || rest.length > 0)
    throw new UserError(`--flow takes three numbers such as 1500,64,4e-3, got "${text}".`);
  return { steps, batch, learningRate };
}

/** @throws UserError for an unknown option, corpus, objective or number */
function parseOptions(argv: readonly string[]): Options | "help" {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const options = { corpus: text, only: text, seed: text, steps: text, flow: text, rate: text, samples: text, threads: text, out: text, again: flag, help: flag }; // prettier-ignore
  let values;
  try {
    ({ values } = parseArgs({ args: [...argv], options }));
  } catch (error) {
    throw new UserError(`${error instanceof Error ? error.message : String(error)}\n${HELP}`);
  }
  if (values.help === true) return "help";
  const whole = (name: "seed" | "steps" | "samples" | "threads", usual: number): number => {
    const given = values[name];
    const value = given === undefined ? usual : Number(given);
    if (!(Number.isSafeInteger(value) && value >= 1))
      throw new UserError(`--${name} must be a whole number of at least 1, got "${given}".`);
    return value;
  };
  const { corpus = "sentences", only, out, again = false } = values;
  if (corpus !== "sentences" && corpus !== "phrases")
    throw new UserError(`There is no corpus "${corpus}"; choose sentences or phrases.`);
  if (only !== undefined && !CONTESTANTS.some(({ name }) => name === only))
    throw new UserError(`There is no objective "${only}"; choose one of: ${CONTESTANTS.map(({ name }) => name).join("; ")}.`); // prettier-ignore
  const usual = corpus === "sentences" ? SENTENCES : PHRASES;
  const learningRate = values.rate === undefined ? usual.map.learningRate : Number(values.rate);
  if (!(learningRate > 0)) throw new UserError(`--rate must be a positive number, got "${values.rate}".`);
  return {
    corpus,
    only,
    out,
    again,
    seed: whole("seed", 1),
    samples: whole("samples", 1024),
    threads: whole("threads", 1),
    settings: {
      ...usual,
      map: { ...usual.map, learningRate, steps: whole("steps", usual.map.steps) },
      flow: values.flow === undefined ? usual.flow : paceOf(values.flow),
    },
  };
}

const tell = (line: string): void => void process.stderr.write(`${line}\n`);

/** What an earlier run with the same settings left. */
async function earlier(path: string, wanted: string): Promise<ObjectivesReport | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const found = JSON.parse(text) as ObjectivesReport;
  if (found.identity !== wanted)
    throw new UserError(
      `${path} holds results of other settings: name another file with --out, or remove it.`,
    );
  return found;
}

async function run(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv);
  if (options === "help") return void process.stdout.write(`${HELP}\n`);
  const { only, seed, settings, samples, threads, again } = options;
  const corpus = options.corpus === "sentences" ? sentenceCorpus() : twoPhrases;
  const machine = describeMachine(await versions("cpu"));
  const identity = identityOf([corpus, settings, seed, samples]);
  const out = options.out ?? `bench/results/${machine.date.slice(0, 10)}-objectives-${options.corpus}.json`;
  const before = await earlier(out, identity);
  const device = await openCpu({ threads });
  const flow = flm(corpus.words.length);
  const context = { device, corpus, settings, seed, samples, tell };

  const { weights, result } = await preparedFlow(flow, context, ".cache/objectives");
  const found = new Map<string, MapResult>(before?.objectives.map((one) => [one.name, one]));
  const report = (flowResult: FlowResult): ObjectivesReport => ({
    identity,
    command: ["npm run bench:objectives --", ...argv].join(" "),
    machine,
    device: device.describe(),
    load: load(),
    corpus: { name: options.corpus, sentences: corpus.sequences.length, vocabulary: corpus.words.length, length: corpus.length }, // prettier-ignore
    settings,
    seed,
    flow: flowResult,
    objectives: CONTESTANTS.flatMap(({ name }) => found.get(name) ?? []),
  });
  const keep = async (): Promise<void> => {
    await mkdir(dirname(out), { recursive: true });
    await writeFileAtomic(out, toJson(report(result)));
  };
  await keep();
  for (const contestant of CONTESTANTS) {
    if (only !== undefined && contestant.name !== only) continue;
    if (found.has(contestant.name) && !again) continue;
    found.set(contestant.name, await compete(contestant, flow, weights, context));
    await keep();
  }
  await device.dispose();
  process.stdout.write(
    `${formatMachine(machine)}\n\n${formatResults(report(result))}\n\nWritten to ${out}.\n`,
  );
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
