/**
 * Makes a comparison out of candidates. Each is prepared and computes the thing once; what it found is compared before anything is timed.
 * The first is ours: it must succeed. Another that cannot be prepared, or finds something else, is named with its error, and the rest goes on.
 *
 * Consumed by the cases. A candidate that only some adapters can run needs nothing special: its error is the report.
 */
import { messageOf } from "../src/runtime/webgpu/gpu.ts";
import { agree, DisagreementError } from "./case.ts";
import type { Absent, Agreement, Comparison, Contender, Ratio } from "./case.ts";

/** A candidate that is ready to run. */
export interface Prepared extends Omit<Contender, "name"> {
  /** What it finds: one list for each of the comparison's checks. Without it, it is another computation, and not compared. */
  values?(): Promise<readonly ArrayLike<number>[]>;
  dispose(): Promise<void>;
}

export interface Candidate {
  readonly name: string;
  prepare(): Promise<Prepared>;
}

/** What values are compared. */
export interface Check {
  readonly what: string;
  readonly tolerance: number;
}

export interface Candidates extends Pick<
  Comparison,
  "name" | "what" | "flops" | "tokens" | "perDispatch" | "bounds"
> {
  readonly candidates: readonly Candidate[];
  readonly checks: readonly Check[];
  /** What all must find, ours too. By default it is what the first finds. */
  readonly expected?: { readonly from: string; readonly values: readonly ArrayLike<number>[] };
  /** Those that name somebody absent are left out. */
  readonly ratios: readonly Ratio[];
}

/** The first line of what was thrown. */
export const lineOf = (error: unknown): string => messageOf(error).split("\n")[0] ?? "";

/**
 * @param peers who does not take part in anything, and why
 * @throws Error when the first candidate cannot be prepared or is wrong
 */
export async function compare(
  peers: { readonly absent: ReadonlyMap<string, string> },
  { candidates, checks, expected, ratios, ...comparison }: Candidates,
): Promise<Comparison> {
  const contenders: Contender[] = [];
  const absent: Absent[] = [];
  const agreements: Agreement[] = [];
  const ready: Prepared[] = [];
  let reference = expected;
  for (const { name, prepare } of candidates) {
    if (peers.absent.has(name)) continue; // that is said once, above all comparisons
    let prepared: Prepared | undefined;
    try {
      prepared = await prepare();
      const values = await prepared.values?.();
      if (values !== undefined && reference !== undefined) {
        const { from, values: right } = reference;
        for (const [i, { what, tolerance }] of checks.entries())
          agreements.push(
            agree(`${what} of ${name} with ${from}`, values[i] ?? [], right[i] ?? [], tolerance),
          );
      }
      if (values !== undefined) reference ??= { from: `what ${name} finds`, values };
      const { run, settle, processorTime, note } = prepared;
      contenders.push({
        name,
        run,
        ...(settle === undefined ? {} : { settle }),
        ...(processorTime === undefined ? {} : { processorTime }),
        ...(note === undefined ? {} : { note }),
      });
      ready.push(prepared);
    } catch (error) {
      await prepared?.dispose();
      if (contenders.length === 0) throw error;
      absent.push({ name, error: lineOf(error), wrong: error instanceof DisagreementError });
    }
  }
  const present = new Set(contenders.map(({ name }) => name));
  return {
    ...comparison,
    contenders,
    ratios: ratios.filter(({ of, to }) => present.has(of) && present.has(to)),
    agreements,
    absent,
    dispose: async () => {
      for (const { dispose } of ready) await dispose();
    },
  };
}
