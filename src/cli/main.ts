#!/usr/bin/env node
/**
 * The command line: `fluxion COMMAND [options]`. Parses, calls, prints; errors that a user can act on are one line and a non-zero
 * exit code. To add a command: a file in `commands/` and a line here.
 */
import { UserError } from "../runtime/files/errors.ts";
import { VERSION } from "../runtime/version.ts";
import { DeviceLostError, OutOfMemoryError } from "../runtime/webgpu/errors.ts";
import { OpError } from "../dsl/index.ts";
import { helpText, parseArguments } from "./arguments.ts";
import type { Command } from "./arguments.ts";
import { demo } from "./commands/demo.ts";
import { devices } from "./commands/devices.ts";
import { explain } from "./commands/explain.ts";
import { inspect } from "./commands/inspect.ts";
import { sample } from "./commands/sample.ts";
import { train } from "./commands/train.ts";
import { tune } from "./commands/tune.ts";
import { verify } from "./commands/verify.ts";
import { watchOutput } from "./output.ts";
import { thrownByUser } from "./user-line.ts";

const COMMANDS: readonly Command[] = [demo, train, sample, verify, inspect, explain, tune, devices];

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name, positionals }) => [name, ...positionals].join(" ").length));
  return [
    "Fluxion: flow language models as typed, differentiable programs.",
    "",
    "Usage: fluxion COMMAND [options]",
    "",
    ...COMMANDS.map(
      ({ name, positionals, summary }) => `  ${[name, ...positionals].join(" ").padEnd(width)}  ${summary}`,
    ),
    "",
    "fluxion COMMAND --help lists the options of a command; fluxion --version prints the version.",
    "",
  ].join("\n");
}

/** @throws UserError naming the commands, where there is none of that name */
function commandNamed(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined)
    throw new UserError(
      `there is no command "${name}"; the commands are ${COMMANDS.map((known) => known.name).join(", ")}`,
    );
  return command;
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const [asked] = rest;
    process.stdout.write(name !== "help" || asked === undefined ? overview() : helpText(commandNamed(asked)));
    return 0;
  }
  if (name === "--version" || name === "-V") {
    process.stdout.write(`${VERSION}\n`);
    return 0;
  }
  const command = commandNamed(name);
  if (rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(helpText(command));
    return 0;
  }
  const parsed = parseArguments(command, rest);
  for (const note of parsed.notes) process.stderr.write(`fluxion: ${note}\n`);
  return command.run(parsed);
}

/** One line for errors that say what to do, and for those of a user's file; a stack for those that are ours. */
function report(error: unknown): number {
  if (error instanceof UserError || error instanceof OpError) {
    process.stderr.write(`fluxion: ${error.message}\n`);
    return error instanceof UserError ? error.exitCode : 2;
  }
  if (error instanceof DeviceLostError || error instanceof OutOfMemoryError) {
    const line =
      error instanceof OutOfMemoryError
        ? error.message
        : `the device was lost (${error.detail}); run the command again.`;
    process.stderr.write(`fluxion: ${line}\n`);
    return 1;
  }
  const line = thrownByUser(error);
  if (line !== undefined) {
    process.stderr.write(`fluxion: ${line}: ${String(error)}\n`); // with its kind: what it says may be little
    return 2;
  }
  process.stderr.write(
    `fluxion: unexpected error, please report it\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return 70;
}

watchOutput();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
