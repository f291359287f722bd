/** The last lines of a CI run: what is said of failures, and of reports that are missing or were cut off. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";

const SUMMARY = fileURLToPath(new URL("../../.ci/summary.js", import.meta.url));

const report = (failed: readonly string[], passed: number): string =>
  JSON.stringify({
    numPassedTests: passed,
    numFailedTests: failed.length,
    testResults: [
      {
        name: join(folder, "some.test.ts"),
        status: failed.length > 0 ? "failed" : "passed",
        assertionResults: failed.map((fullName) => ({
          fullName,
          status: "failed",
          failureMessages: ["no\n    at here"],
        })),
      },
    ],
  });

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "fluxion-summary-"))));
afterEach(() => rmSync(folder, { recursive: true }));

/** The summary of files with these texts; undefined is a file that is not there. */
function summaryOf(...texts: readonly (string | undefined)[]): {
  status: number | null;
  lines: readonly string[];
} {
  texts.forEach((text, i) => text !== undefined && writeFileSync(join(folder, `${i}.json`), text));
  const paths = texts.map((_, i) => `${i}.json`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [SUMMARY, ...paths], {
    cwd: folder,
    encoding: "utf8",
  });
  return { status, lines: `${stdout}${stderr}`.split("\n").filter((line) => line.trim() !== "") };
}

it("names the tests that failed, and counts those of all reports", () => {
  expect(summaryOf(report(["one", "two"], 3), undefined, report([], 4))).toEqual({
    status: 0,
    lines: [
      "Failed tests:",
      " ✘ some.test.ts > one",
      "     no",
      " ✘ some.test.ts > two",
      "     no",
      "7 passed, 2 failed",
    ],
  });
});

it("says that a report is missing, or that one was cut off", () => {
  expect(summaryOf(undefined).lines).toEqual(["0 passed, 0 failed (the tests left no report)"]);
  const whole = report(["one"], 3);
  const cut = (name: string): string =>
    `The report ${name} is cut off: whoever wrote it was stopped before the end.`;
  expect(summaryOf(whole.slice(0, -10), report([], 4))).toEqual({
    status: 0,
    lines: [cut("0.json"), "0 passed, 0 failed (the report of the tests is cut off)"],
  });
  expect(summaryOf(report([], 4), "").lines).toEqual([cut("1.json"), "4 passed, 0 failed"]);
});
