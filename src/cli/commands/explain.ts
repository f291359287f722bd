/** `fluxion explain STEP`: what the WebGPU device runs for a step or a program, what that costs, and how long it takes. */
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { MINIMUM_LIMITS } from "../../compiler/kernel/plan.ts";
import { inlineCalls } from "../../compiler/passes/inline.ts";
import { optimize } from "../../compiler/passes/pipeline.ts";
import { parse, ParseError } from "../../dsl/program/parse.ts";
import { inputTypes } from "../../dsl/program/program.ts";
import type { Program } from "../../dsl/program/program.ts";
import { writeFileAtomic } from "../../runtime/files/atomic.ts";
import { fileError, UserError } from "../../runtime/files/errors.ts";
import { openWebGpu } from "../../runtime/webgpu/device.ts";
import type { WebGpuDevice } from "../../runtime/webgpu/device.ts";
import { timeExplained } from "../../runtime/webgpu/explain.ts";
import { dawnSource } from "../../runtime/webgpu/node.ts";
import { loadTuned } from "../../runtime/webgpu/tune-file.ts";
import type { Command, Parsed } from "../arguments.ts";
import { renderPage } from "../explain/page.ts";
import { planned } from "../explain/planned.ts";
import { randomInputs } from "../../runtime/webgpu/random-inputs.ts";
import { ORDERS } from "../explain/subject.ts";
import type { Explained } from "../../runtime/explain/summary.ts";
import { renderText } from "../explain/text.ts";
import { SIZE_OPTIONS, STEPS, tracedStep } from "../steps.ts";

const ROWS = 12;
const RUNS = 5;

export const explain: Command = {
  name: "explain",
  positionals: ["[STEP|RUN]"],
  summary: `Shows what runs on the GPU for a step (${STEPS.join(", ")}) or a program, and what it costs.`,
  options: {
    ...SIZE_OPTIONS,
    program: { value: "FILE", help: "Explains the program in a file, as inspect --ir prints it." },
    fusion: { value: "on|off", help: "off: a kernel for every equation (default: on)." },
    limits: {
      value: "NAME",
      help: "minimum: what any GPU offers; adapter: what this one offers (default: minimum, with --time adapter).",
    },
    order: {
      value: "NAME",
      help: "plan, bytes, flops or time: the order of the table (default: bytes, with --time time).",
    },
    kernels: { value: "N", help: `Dispatches and slots to list (default: ${ROWS}; 0 lists none).` },
    time: { help: "Runs it on the GPU with random inputs and adds the time of each dispatch." },
    runs: { value: "N", help: `Runs that --time takes the median of (default: ${RUNS}).` },
    json: { help: "Prints everything as JSON, code included." },
    html: { value: "FILE", help: "Writes everything as a page." },
  },
  async run(args) {
    const order = args.choice("order", ORDERS);
    const rows = args.whole("kernels", { min: 0 }) ?? ROWS;
    const runs = args.whole("runs", { min: 1, max: 1000 }) ?? RUNS;
    const time = args.flag("time");
    if (order === "time" && !time) throw new UserError("--order time needs --time");
    if (args.text("runs") !== undefined && !time) throw new UserError("--runs needs --time");
    const whole = ["json", "html"].find((name) => args.given.includes(name));
    const ofTable = args.given.filter((name) => name === "order" || name === "kernels");
    if (whole !== undefined && ofTable.length > 0)
      throw new UserError(
        `--${ofTable[0]} is of the table, and --${whole} prints everything instead; leave one of them out`,
      );
    const fusion = args.choice("fusion", ["on", "off"]) !== "off";
    const limitsOf = args.choice("limits", ["minimum", "adapter"]) ?? (time ? "adapter" : "minimum");
    const subject = await subjectOf(args);

    const device = time || limitsOf === "adapter" ? await openDevice(limitsOf, time) : undefined;
    try {
      const limits = device?.limits ?? MINIMUM_LIMITS;
      const { name, program, inputNames = [], outputNames = [] } = subject;
      const f16 = device?.context.f16 ?? false;
      const plan = planned(name, program, {
        limits,
        fusion,
        f16,
        inputNames,
        outputNames,
        dots: device?.dots,
        // As the training donates it.
        donated: inputNames.flatMap((input, position) => (input.startsWith("state.") ? [position] : [])),
      });
      const explanation =
        device === undefined || !time
          ? plan.explanation
          : (await timeExplained(device, plan, inputsOf(subject), { runs, name })).explanation;
      const explained: Explained = {
        name,
        limits,
        limitsOf: limitsOf === "minimum" ? "what every GPU offers" : "what this GPU offers",
        gpu: device?.describe() ?? null,
        timedRuns: time ? runs : null,
        explanation,
      };
      await print(explained, args, {
        order: order ?? (time ? "time" : "bytes"),
        rows,
        folder: process.cwd(),
      });
      return 0;
    } finally {
      await device?.dispose();
    }
  },
};

/** What is explained. */
interface Subject {
  readonly name: string;
  readonly program: Program;
  readonly inputNames?: readonly string[];
  readonly outputNames?: readonly string[];
  /** Bounds of the whole numbers in inputs, by name. */
  readonly below: Readonly<Record<string, number>>;
}

async function subjectOf(args: Parsed): Promise<Subject> {
  const [step] = args.positionals;
  const file = args.text("program");
  if (file === undefined) {
    if (step === undefined)
      throw new UserError(
        `explain needs a step, one of ${STEPS.join(", ")}, a run folder, or --program FILE`,
      );
    const { name, traced, vocab } = await tracedStep(step, args);
    return { name, ...traced, program: compiled(traced.program), below: { tokens: vocab } };
  }
  const given = [...(step === undefined ? [] : [step]), ...args.given.filter((name) => name in SIZE_OPTIONS)];
  if (given.length > 0)
    throw new UserError(`--program is explained as it stands; leave ${given.join(" and ")} out`);
  return { name: basename(file), program: compiled(await readProgram(file)), below: {} };
}

/** The program as devices get it. */
const compiled = (program: Program): Program => optimize(inlineCalls(program));

/** The program in a file; what `inspect` prints before it is skipped. */
async function readProgram(file: string): Promise<Program> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw fileError(error, "read", file);
  });
  const start = text.search(/^program\b/m);
  if (start < 0)
    throw new UserError(`${file} holds no program; give a file with the output of fluxion inspect STEP --ir`);
  try {
    // Lines keep their numbers, for the message.
    return parse(text.slice(0, start).replace(/[^\n]/g, "") + text.slice(start));
  } catch (error) {
    if (error instanceof ParseError) throw new UserError(`${file}: ${error.message}`);
    throw error;
  }
}

const inputsOf = ({ program, inputNames = [], below }: Subject) =>
  randomInputs(inputTypes(program), (position) => below[inputNames[position] ?? ""]);

/** Not every GPU has a feature, so with the least there is none but what timing takes, as for the device `webgpu-minimum`. */
const openDevice = async (limits: "minimum" | "adapter", profile: boolean): Promise<WebGpuDevice> =>
  limits === "minimum"
    ? openWebGpu({ limits, profile, features: profile ? ["timestamp-query"] : [] }, dawnSource)
    : openWebGpu({ limits, profile, tuned: await loadTuned() }, dawnSource);

async function print(
  explained: Explained,
  args: Parsed,
  options: Parameters<typeof renderText>[1],
): Promise<void> {
  const file = args.text("html");
  if (file !== undefined) {
    await writeFileAtomic(file, new TextEncoder().encode(renderPage(explained, options.folder)));
    // The page may be asked for beside the JSON, which must stay alone on standard output.
    process.stderr.write(`wrote ${resolve(file)}\n`);
  }
  if (args.flag("json")) {
    const { explanation, timedRuns, ...rest } = explained;
    process.stdout.write(`${JSON.stringify({ ...rest, timedRuns, ...explanation })}\n`);
  } else if (file === undefined) process.stdout.write(renderText(explained, options));
}
