/**
 * Command-line options: declared once per command, parsed by Node, checked here; `--help` is written from the declaration.
 * Consumed by every command. To add an option, add it to the command's declaration.
 */
import { parseArgs } from "node:util";
import { errorCode, UserError } from "../runtime/files/errors.ts";

export interface Option {
  /** What it does, one line. */
  readonly help: string;
  /** Placeholder of its value; absent for a flag. */
  readonly value?: string;
}

export interface Command {
  readonly name: string;
  /** Placeholders of positional arguments. */
  readonly positionals: readonly string[];
  /** One line for the list of commands. */
  readonly summary: string;
  readonly options: Readonly<Record<string, Option>>;
  /** What another command has under another name: its name there, and here. */
  readonly otherNames?: Readonly<Record<string, string>>;
  /** @returns the exit code */
  run(args: Parsed): Promise<number>;
}

/** Parsed options of a command. */
export interface Parsed {
  readonly positionals: readonly string[];
  /** Sentences on what was given, for the user. */
  readonly notes: readonly string[];
  /** Names of the options that were given, in the order of the declaration. */
  readonly given: readonly string[];
  flag(name: string): boolean;
  text(name: string): string | undefined;
  /** @throws UserError unless the option is absent or a whole number in the range */
  whole(name: string, range?: { readonly min?: number; readonly max?: number }): number | undefined;
  /** @throws UserError unless the option is absent or a number in the range */
  number(name: string, range?: { readonly min?: number; readonly max?: number }): number | undefined;
  /** @throws UserError unless the option is absent or one of the choices */
  choice<const C extends string>(name: string, choices: readonly C[]): C | undefined;
}

/**
 * Parses the arguments of a command.
 * @throws UserError for an unknown option, a missing value, or too many arguments
 */
export function parseArguments(command: Command, argv: readonly string[]): Parsed {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ("boolean" as const) : ("string" as const) },
    ]),
  );
  const parsed = parseOrExplain(command, argv, options);
  const values = parsed.values as Readonly<Record<string, string | boolean | undefined>>;
  const missing = command.positionals[parsed.positionals.length];
  if (missing !== undefined && !missing.startsWith("["))
    throw new UserError(`fluxion ${command.name} needs ${missing}; see fluxion ${command.name} --help`);
  const extra = parsed.positionals[command.positionals.length];
  if (extra !== undefined)
    throw new UserError(
      `fluxion ${command.name} does not take "${extra}"; see fluxion ${command.name} --help`,
    );
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === "string" ? value : undefined;
  };
  const number: Parsed["number"] = (name, { min = -Infinity, max = Infinity } = {}) => {
    const given = text(name);
    if (given === undefined) return undefined;
    const value = Number(given);
    if (given.trim() === "" || !Number.isFinite(value) || value < min || value > max) {
      throw new UserError(
        `--${name} must be a number${min > -Infinity ? ` >= ${min}` : ""}${max < Infinity ? ` and <= ${max}` : ""}, got "${given}"`,
      );
    }
    return value;
  };
  return {
    positionals: parsed.positionals,
    notes: notesOn(parsed.tokens),
    given: Object.keys(command.options).filter((name) => values[name] !== undefined),
    flag: (name) => values[name] === true,
    text,
    number,
    whole(name, range) {
      const value = number(name, range);
      if (value !== undefined && !Number.isSafeInteger(value))
        throw new UserError(
          `--${name} must be a whole number${Math.abs(value) > Number.MAX_SAFE_INTEGER ? " of at most 2^53 - 1" : ""}, got "${text(name)}"`,
        );
      return value;
    },
    choice(name, choices) {
      const given = text(name);
      const chosen = choices.find((choice) => choice === given);
      if (given !== undefined && chosen === undefined)
        throw new UserError(`--${name} must be one of ${choices.join(", ")}, got "${given}"`);
      return chosen;
    },
  };
}

/**
 * Of an option that is given with two values the last holds, as in other programs, so that a line can be changed by adding to it. No option
 * is a list, though, so whoever gives two values on purpose is told.
 */
function notesOn(
  tokens: readonly { readonly kind: string; readonly name?: string; readonly value?: string | undefined }[],
): readonly string[] {
  const last = new Map<string, string | undefined>();
  const notes = new Map<string, string>();
  for (const { kind, name, value } of tokens) {
    if (kind !== "option" || name === undefined) continue;
    const before = last.get(name);
    if (before !== undefined && before !== value)
      notes.set(name, `--${name} is given more than once; the last holds, "${value}"`);
    last.set(name, value);
  }
  return [...notes.values()];
}

function parseOrExplain(
  command: Command,
  argv: readonly string[],
  options: Record<string, { type: "boolean" | "string" }>,
) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true, tokens: true });
  } catch (error) {
    const message = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    const option = /'(?:-\w, )?(--?[^ '=]+)/.exec(message)?.[1];
    const see = `see fluxion ${command.name} --help`;
    switch (errorCode(error)) {
      case "ERR_PARSE_ARGS_UNKNOWN_OPTION": {
        const here = command.otherNames?.[option?.slice(2) ?? ""];
        const hint = here === undefined ? "" : `, here it is --${here}`;
        throw new UserError(`fluxion ${command.name} has no option ${option}${hint}; ${see}`);
      }
      case "ERR_PARSE_ARGS_INVALID_OPTION_VALUE": {
        const takes = options[option?.slice(2) ?? ""]?.type === "string";
        throw new UserError(
          takes
            ? `${option} needs a value (${option}=VALUE if it begins with a dash); ${see}`
            : `${option} takes no value; ${see}`,
        );
      }
      default:
        throw new UserError(`fluxion ${command.name}: ${message}; ${see}`);
    }
  }
}

/** The help text of a command. */
export function helpText(command: Command): string {
  const rows = [...Object.entries(command.options), ["help", { help: "Shows this." }] as const].map(
    ([name, { value, help }]: readonly [string, Option]) =>
      [`  --${name}${value === undefined ? "" : ` ${value}`}`, help] as const,
  );
  const width = Math.max(...rows.map(([left]) => left.length));
  const usage = ["fluxion", command.name, ...command.positionals, "[options]"].join(" ");
  return [
    `Usage: ${usage}`,
    "",
    command.summary,
    "",
    "Options:",
    ...rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`),
    "",
  ].join("\n");
}
