/**
 * The worker that runs the user's code: it verifies what is declared, or trains it on a toy. It lives for one question, and can be ended
 * at any time.
 *
 * Started by sandbox.ts, from a blob that imports this file and hands the user's module over.
 */
import { expose } from "comlink";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { verifiableIn } from "../../../src/runtime/user-exports.ts";
import type { Exports } from "../../../src/runtime/user-exports.ts";
import type { VerifyReport } from "../../../src/runtime/verify/report.ts";
import { verifyFlow } from "../../../src/runtime/verify/verify.ts";
import { onlyConfined } from "../engine/confined-worker.ts";
import { exportsOf, givenCode, problemOf } from "../user-code/module.ts";
import type { Outcome } from "../user-code/problem.ts";
import { FILE } from "./messages.ts";
import type { Runner, VerifyAnswer, VerifySettings } from "./messages.ts";
import { trainToy } from "./toy.ts";

/** Lines that are shown of what the code prints. */
const PRINTED = 200;

const given = givenCode();
const REFUSALS = {
  file: "the playground has one file; write it here",
  package: 'in the playground there is "fluxion" alone',
};

/** What is printed goes to the page, too. */
function printTo(onPrint: (line: string) => void): void {
  let count = 0;
  for (const name of ["debug", "error", "info", "log", "warn"] as const) {
    const print = console[name].bind(console);
    console[name] = (...values: readonly unknown[]) => {
      print(...values);
      if (count++ < PRINTED) onPrint(values.map(printed).join(" "));
      else if (count === PRINTED + 1) onPrint(`… more than ${PRINTED} lines`);
    };
  }
}

function printed(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return Object.prototype.toString.call(value); // a circle
  }
}

async function answered<T>(
  onPrint: (line: string) => void,
  answer: (exports: Exports) => Promise<T>,
): Promise<Outcome<T>> {
  printTo(onPrint);
  try {
    return { ok: true, value: await answer(await exportsOf((await given).module, REFUSALS)) };
  } catch (error) {
    return { ok: false, problem: problemOf(error) };
  }
}

async function verified(
  exports: Exports,
  { cases, seed }: VerifySettings,
  onProgress: Parameters<Runner["verify"]>[1],
): Promise<VerifyAnswer> {
  const variants = verifiableIn(exports, FILE);
  const device = openInterpreter();
  const reports: VerifyReport[] = [];
  const places: VerifyAnswer["places"][number][] = [];
  for (const variant of variants) {
    const what = variant.name;
    reports.push(
      await verifyFlow(variant, {
        device,
        cases,
        seed,
        onIdentity: (part, done, total) => onProgress({ what, part, done, total }),
        onError: (identity, error) => places.push({ ...problemOf(error), variant: what, identity }),
      }),
    );
  }
  await device.dispose();
  return { passed: reports.every(({ passed }) => passed), reports, places };
}

const runner: Runner = {
  verify: (settings, onProgress, onPrint) =>
    answered(onPrint, (exports) => verified(exports, settings, onProgress)),
  train: (settings, onProgress, onPrint) =>
    answered(onPrint, (exports) => trainToy(exports, settings, onProgress)),
};

onlyConfined();
expose(runner);
