// The last lines of a CI run, from vitest's JSON reports: which tests failed and the first lines of their errors, then how many passed and failed.
// Logs are often cut from the front, so what matters comes last. Consumed by .ci/run: node .ci/summary.js REPORT...
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";

const MOST_TESTS = 40;
const LINES = 3;
// eslint-disable-next-line no-control-regex -- terminals' colours
const plain = (text) => text.replaceAll(/\u001b\[[\d;]*m/g, "");

/** The first lines of an error that say something, without the stack. */
const first = (message) =>
  plain(message)
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== "" && !/^\s*at /.test(line))
    .slice(0, LINES);

const paths = process.argv.slice(2);
/** Reports that are no JSON: whoever wrote them was stopped before the end. */
const broken = [];
const reports = paths
  .filter((path) => existsSync(path))
  .flatMap((path) => {
    try {
      return [JSON.parse(readFileSync(path, "utf8"))];
    } catch {
      broken.push(path);
      return [];
    }
  });

/** Tests that failed, and files that could not be run at all. */
const failures = reports.flatMap(({ testResults }) =>
  testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(process.cwd(), name);
    const failed = assertionResults.filter((test) => test.status === "failed");
    if (failed.length === 0) return status === "failed" ? [{ title: file, lines: first(message ?? "") }] : [];
    return failed.map(({ fullName, failureMessages }) => ({
      title: `${file} > ${fullName}`,
      lines: first(failureMessages?.[0] ?? ""),
    }));
  }),
);

if (failures.length > 0) console.log("\nFailed tests:");
for (const { title, lines } of failures.slice(0, MOST_TESTS)) {
  console.log(` ✘ ${title}`);
  for (const line of lines) console.log(`     ${line}`);
}
if (failures.length > MOST_TESTS) console.log(` … and ${failures.length - MOST_TESTS} more`);

for (const path of broken)
  console.log(`\nThe report ${path} is cut off: whoever wrote it was stopped before the end.`);

const total = (field) => reports.reduce((sum, report) => sum + report[field], 0);
// The first is that of the whole suite.
const [suite = ""] = paths;
if (!existsSync(suite)) console.log("0 passed, 0 failed (the tests left no report)");
else if (broken.includes(suite)) console.log("0 passed, 0 failed (the report of the tests is cut off)");
else console.log(`${total("numPassedTests")} passed, ${total("numFailedTests")} failed`);
