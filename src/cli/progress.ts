/**
 * Progress of a long run: on a terminal one line that is rewritten in place, elsewhere (a pipe, CI, NO_COLOR,
 * a dumb terminal) a plain line every few seconds. Both show the step, the given values, the rate and the
 * time left.
 *
 * Consumed by the training and sampling commands. Everything that varies (stream, clock, environment) is
 * passed in.
 */

/** The part of a writable stream that is used. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A report of progress. After `done`, nothing more is written. */
export interface Progress {
  /** `step` steps are done; `fields` are shown as "name value", numbers with four digits. */
  readonly update: (step: number, fields?: Readonly<Record<string, number | string>>) => void;
  /** Prints text of its own lines: above the bar, or between the plain lines. */
  readonly note: (text: string) => void;
  /** Shows the last state once more and ends the line. */
  readonly done: () => void;
}

export interface ProgressOptions {
  readonly label: string;
  readonly total: number;
  /** The step a resumed run starts from: rate and time left count only what is done from here. */
  readonly start?: number;
  /**
   * What the rate counts: with `{ name: "tokens", perStep: 768 }` it reads "12,300 tokens/s". Default: steps.
   */
  readonly unit?: { readonly name: string; readonly perStep: number };
  readonly stream?: ProgressStream;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
  /** Seconds between plain lines. */
  readonly secondsPerLine?: number;
}

// A terminal is redrawn at most ten times a second; the rate is that of the last ten seconds, so that it
// follows changes.
const redrawMs = 100;
const rateWindowMs = 10_000;

interface Moment {
  readonly time: number;
  readonly step: number;
}

export function createProgress(options: ProgressOptions): Progress {
  const { label, total, start = 0, stream = process.stderr, env = process.env } = options;
  const {
    unit = { name: "steps", perStep: 1 },
    secondsPerLine = 10,
    now = () => performance.now(),
  } = options;
  const inPlace = isInteractive(stream, env);
  const interval = inPlace ? redrawMs : secondsPerLine * 1000;
  const recent: Moment[] = [{ time: now(), step: start }];
  let text = "";
  let lastDrawn = -Infinity;
  let drawnText = "";
  let ended = false;

  const rateAt = (time: number, step: number): number => {
    while (recent.length > 1 && time - (recent[1]?.time ?? time) >= rateWindowMs) recent.shift();
    const since = recent[0] ?? { time, step };
    if (time - (recent.at(-1)?.time ?? 0) >= redrawMs) recent.push({ time, step });
    return time > since.time ? ((step - since.step) / (time - since.time)) * 1000 : 0;
  };
  const render = (step: number, rate: number, fields: Readonly<Record<string, number | string>>): string => {
    const parts = Object.entries(fields).map(([name, value]) => `${name} ${fieldText(value)}`);
    if (rate > 0) {
      parts.push(`${rateText(rate * unit.perStep)} ${unit.name}/s`);
      if (step < total) parts.push(`ETA ${durationText((total - step) / rate)}`);
    }
    const bar = inPlace ? ` ${barText(step / total, 20)}` : "";
    return [`${label}${bar} ${step}/${total}`, ...parts].join("  ");
  };
  const draw = (): void => {
    lastDrawn = now();
    drawnText = text;
    // One column stays free: a full line would make some terminals wrap, and the next redraw would leave it
    // behind.
    const { columns = 0 } = stream; // a terminal that does not know its width says 0
    stream.write(inPlace ? `\r${clip(text, (columns > 0 ? columns : 80) - 1)}\u001b[K` : `${text}\n`);
  };
  return {
    update: (step, fields = {}) => {
      if (ended) return;
      const time = now();
      text = render(step, rateAt(time, step), fields);
      if (time - lastDrawn >= interval) draw();
    },
    note: (message) => {
      if (ended) return;
      const lines = printable(message);
      stream.write(inPlace ? `\r\u001b[K${lines}\n` : `${lines}\n`);
      if (inPlace && text !== "") draw();
    },
    done: () => {
      if (ended) return;
      ended = true;
      if (text !== drawnText) draw();
      if (inPlace && text !== "") stream.write("\n");
    },
  };
}

/** A bar needs a terminal that can move its cursor, and a user who has not asked for plain output. */
export function isInteractive(
  stream: ProgressStream,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const isSet = (name: string): boolean => (env[name] ?? "") !== "";
  return stream.isTTY === true && env["TERM"] !== "dumb" && !isSet("NO_COLOR") && !isSet("CI");
}

/**
 * 75 -> "1:15", 3725 -> "1:02:05"; whole seconds, rounded up, so that "0:00" only shows when nothing is left.
 */
export function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function barText(fraction: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return `[${"#".repeat(full)}${"-".repeat(width - full)}]`;
}

const fieldText = (value: number | string): string =>
  typeof value === "string"
    ? printable(value).replace(/\s+/g, " ")
    : Number.isInteger(value)
      ? String(value)
      : value.toPrecision(4);

const rateText = (rate: number): string =>
  rate >= 100 ? Math.round(rate).toLocaleString("en-US") : rate.toPrecision(2);

function clip(text: string, columns: number): string {
  const characters = Array.from(text);
  return characters.length <= columns ? text : characters.slice(0, Math.max(0, columns)).join("");
}

/** Samples may hold any character of the user's data; control characters must not reach the terminal. */
const printable = (text: string): string => text.replace(/[^\P{Cc}\n\t]/gu, "");
