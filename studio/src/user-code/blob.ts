/**
 * The user's code as what a worker begins with: a blob that imports the worker's script and hands the code to it.
 *
 * So the worker has the page's content-security policy, which a worker that is started from a file has only where the server sends it:
 * what the page may not fetch, the user's code may not either. And no more has to be allowed for it than `worker-src blob:`, neither
 * `eval` nor scripts from blobs.
 *
 * Consumed by ../playground/sandbox.ts and ../engine/declared-worker.ts; module.ts takes the code in the worker.
 */
import type { Problem, Transpiled } from "./problem.ts";
import { sourcePlace } from "./source-lines.ts";

/** Lines of the blob above the user's code. */
const ABOVE = 2;

/** @param script where the built worker lies. @param about what the worker is told besides, in the words of JSON */
export function codeBlob(script: string, code: string, about: unknown = null): Blob {
  // On lines of its own, so that what the code ends with is no matter.
  const lines = [
    `import ${JSON.stringify(new URL(script, location.href).href)};`,
    "fluxionUserCode(async (exports, require) => {",
    code,
    `}, ${JSON.stringify(about)});`,
  ];
  return new Blob([lines.join("\n")], { type: "text/javascript" });
}

/** Where in the user's text a problem of the code that runs is about. */
export function located(problem: Problem, { mappings }: Pick<Transpiled, "mappings">): Problem {
  const { message, line, column = 1 } = problem;
  if (line === undefined) return problem;
  return { message, ...sourcePlace(mappings, { line: line - ABOVE, column }) };
}
