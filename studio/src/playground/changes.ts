/**
 * What changed between two results: identities that turned, residuals that moved, shares of known phrases. Pure.
 * Consumed by changes-view.tsx and by tests.
 */
import type { IdentityResult } from "../../../src/runtime/verify/report.ts";
import type { ToyResult, Verified } from "./messages.ts";

/** How an identity stands beside what it was. */
export type Turn = "holds now" | "fails now" | "new" | "gone" | "moved";

export interface IdentityChange {
  readonly variant: string;
  readonly identity: string;
  readonly turn: Turn;
  readonly before?: IdentityResult;
  readonly after?: IdentityResult;
}

/** Residuals closer than this, as a factor, are taken for the same: cases of another declaration are other cases. */
const FACTOR = 10;
/** Below it a residual is rounding. */
const ROUNDING = 1e-6;

/** Identities by the kind and place of their variant: one that was given another name is the same one. */
function byPlace({ reports }: Verified): ReadonlyMap<string, readonly [string, string, IdentityResult]> {
  const counts = new Map<string, number>();
  return new Map(
    reports.flatMap(({ variant, kind, results }) => {
      const count = (counts.get(kind) ?? 0) + 1;
      counts.set(kind, count);
      return results.map((one) => [`${kind} ${count} ${one.name}`, [variant, one.name, one]] as const);
    }),
  );
}

/** An identity's place among the changes: what turned comes first. */
const ORDER: readonly Turn[] = ["fails now", "holds now", "moved", "new", "gone"];

/** Identities that differ, the ones that turned first. */
export function identityChanges(before: Verified, after: Verified): readonly IdentityChange[] {
  const [old, now] = [byPlace(before), byPlace(after)];
  const changes: IdentityChange[] = [];
  for (const [name, [variant, identity, result]] of now) {
    const was = old.get(name)?.[2];
    const turn = was === undefined ? "new" : turnOf(was, result);
    if (turn !== undefined)
      changes.push({ variant, identity, turn, after: result, ...(was === undefined ? {} : { before: was }) });
  }
  for (const [name, [variant, identity, result]] of old)
    if (!now.has(name)) changes.push({ variant, identity, turn: "gone", before: result });
  return changes.sort((a, b) => ORDER.indexOf(a.turn) - ORDER.indexOf(b.turn));
}

function turnOf(before: IdentityResult, after: IdentityResult): Turn | undefined {
  if (before.passed !== after.passed) return after.passed ? "holds now" : "fails now";
  const [was, is] = [before.worst ?? Infinity, after.worst ?? Infinity];
  if (Math.max(was, is) < ROUNDING || Object.is(was, is)) return undefined;
  const factor = is / Math.max(was, ROUNDING);
  return factor > FACTOR || factor < 1 / FACTOR || Number.isNaN(factor) ? "moved" : undefined;
}

/** How the texts of a kind of model in so many steps stand beside those of before. */
export interface ShareChange {
  readonly kind: "flow" | "flow map";
  readonly steps: number;
  readonly before: number;
  readonly after: number;
}

/** Shares of known phrases, where both have one. */
export const shareChanges = (before: ToyResult, after: ToyResult): readonly ShareChange[] =>
  after.samples.flatMap(({ kind, steps, known }) => {
    const was = before.samples.find((each) => each.kind === kind && each.steps === steps)?.known;
    return known === undefined || was === undefined ? [] : [{ kind, steps, before: was, after: known }];
  });
