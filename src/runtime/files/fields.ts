/**
 * Hand-written checks of JSON that a person may have edited: each getter returns a typed value or throws a
 * sentence that names the file, the key, what was found and what is allowed.
 *
 * Consumed by the run folder (its envelope, checkpoint metadata) and by whoever defines a configuration
 * stored in one: `const f = fieldsOf(value, where); const config = { steps: f.number("steps", { integer:
 * true, min: 1 }) }; f.end();`
 */
import { UserError } from "./errors.ts";

export interface NumberRange {
  readonly min?: number;
  readonly max?: number;
  readonly integer?: boolean;
}

/**
 * Typed access to the keys of one JSON object. Every getter throws `UserError` when the key is missing or
 * wrong.
 */
export interface Fields {
  readonly number: (key: string, range?: NumberRange) => number;
  readonly string: (key: string) => string;
  readonly boolean: (key: string) => boolean;
  /** A string that must be one of `choices`. */
  readonly choice: <const C extends string>(key: string, choices: readonly C[]) => C;
  readonly object: (key: string) => Fields;
  /** The value as it is, for checks of its own. */
  readonly value: (key: string) => unknown;
  readonly has: (key: string) => boolean;
  /** Throws when the object has keys that no getter asked for: usually a typing mistake. */
  readonly end: () => void;
}

/** @param where what the object is, for messages: "runs/a/config.json" or "runs/a/config.json: model". */
export function fieldsOf(object: unknown, where: string): Fields {
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    throw new UserError(`${where}: found ${describe(object)} where an object with named values is needed.`);
  }
  const values = new Map<string, unknown>(Object.entries(object));
  const asked = new Set<string>();
  const value = (key: string): unknown => {
    asked.add(key);
    if (!values.has(key)) throw new UserError(`${where}: ${JSON.stringify(key)} is missing.`);
    return values.get(key);
  };
  const wrong = (key: string, needed: string): UserError =>
    new UserError(`${where}: ${JSON.stringify(key)} is ${describe(values.get(key))}; it must be ${needed}.`);
  return {
    value,
    has: (key) => values.has(key),
    number: (key, range = {}) => {
      const found = value(key);
      const { min = -Infinity, max = Infinity, integer = false } = range;
      const fits = typeof found === "number" && Number.isFinite(found) && found >= min && found <= max;
      if (!fits || (integer && !Number.isSafeInteger(found))) throw wrong(key, rangeText(range));
      return found;
    },
    string: (key) => {
      const found = value(key);
      if (typeof found !== "string") throw wrong(key, "a text");
      return found;
    },
    boolean: (key) => {
      const found = value(key);
      if (typeof found !== "boolean") throw wrong(key, "true or false");
      return found;
    },
    choice: (key, choices) => {
      const found = value(key);
      const chosen = choices.find((choice) => choice === found);
      if (chosen === undefined) throw wrong(key, `one of ${choices.join(", ")}`);
      return chosen;
    },
    object: (key) => fieldsOf(value(key), `${where}: ${key}`),
    end: () => {
      const unknown = [...values.keys()].filter((key) => !asked.has(key));
      if (unknown.length === 0) return;
      throw new UserError(
        `${where}: ${unknown.map((key) => JSON.stringify(key)).join(", ")} is not a known setting.`,
      );
    },
  };
}

function rangeText({ min, max, integer = false }: NumberRange): string {
  const kind = integer ? "a whole number" : "a number";
  if (min !== undefined && max !== undefined) return `${kind} from ${min} to ${max}`;
  if (min !== undefined) return `${kind} of at least ${min}`;
  return max !== undefined ? `${kind} of at most ${max}` : kind;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text: string | undefined = JSON.stringify(value); // what has no JSON gives undefined, whatever its type says
  if (text === undefined) return typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
