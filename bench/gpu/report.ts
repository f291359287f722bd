/**
 * What the benchmark of hardware finds, added to part by part. Consumed by run-hardware.ts.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { toJson } from "../report.ts";
import type { ComparisonResult } from "../timing.ts";
import type { Checked } from "./checks.ts";

/** Checks that came nearest to their tolerance, so many of them are kept. */
const KEPT = 10;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

export class HardwareReport {
  /** The file that {@link save} writes, if any. */
  path: string | undefined;
  machine: unknown;
  readonly checks = { passed: 0, failed: [] as Checked[], worst: [] as Checked[] };
  readonly comparisons: ComparisonResult[] = [];
  readonly steps: Record<string, unknown> = {};
  /** How the tuner has the dots of steps computed, where that is not what the heuristic says. */
  readonly tuned: Record<string, unknown> = {};
  readonly profiles: Record<string, unknown> = {};
  /** What there was no time or no memory for. */
  readonly leftOut: string[] = [];
  /** Parts that ended with an error. */
  readonly failures: Record<string, string> = {};

  constructor(path?: string) {
    this.path = path;
  }

  add(checked: Checked): void {
    const { checks } = this;
    if (checked.failure === undefined) checks.passed++;
    else {
      checks.failed.push(checked);
      say(`WRONG: ${checked.name}: ${checked.failure} (${checked.difference ?? "no numbers"})`);
    }
    const nearness = ({ difference = 0, tolerance }: Checked): number => difference / (tolerance || 1);
    checks.worst.push(checked);
    checks.worst.sort((a, b) => nearness(b) - nearness(a));
    checks.worst.splice(KEPT);
  }

  fail(part: string, error: unknown): void {
    this.failures[part] = error instanceof Error ? (error.stack ?? error.message) : String(error);
    say(`${part} FAILED: ${this.failures[part]}`);
  }

  leaveOut(what: string): void {
    this.leftOut.push(what);
    say(`left out: ${what}`);
  }

  /** Whether all values were right and all parts went through. */
  get right(): boolean {
    const disagree = this.comparisons.some(({ absent }) => absent.some(({ wrong }) => wrong));
    return this.checks.failed.length === 0 && Object.keys(this.failures).length === 0 && !disagree;
  }

  json(): string {
    const { path: _path, ...found } = this;
    return toJson({ ...found, seconds: Math.round(performance.now() / 1000) });
  }

  save(): void {
    if (this.path === undefined) return;
    mkdirSync(dirname(this.path), { recursive: true });
    writeFileSync(this.path, this.json());
  }
}
