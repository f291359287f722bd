/**
 * TypeScript in a worker: it turns what is in the editor into JavaScript, and answers the editor's questions on types.
 *
 * Started by types/client.ts. Transpiling needs no types, so it can be asked for before they are loaded.
 */
import { createSystem, createVirtualTypeScriptEnvironment } from "@typescript/vfs";
import { createWorker } from "@valtown/codemirror-ts/worker";
import { expose } from "comlink";
import ts from "typescript-js";
import { onlyConfined } from "../../engine/confined-worker.ts";
import type { Problem, Transpiled } from "../../user-code/problem.ts";
import { FILE } from "../messages.ts";

/** What a declaration may use besides the language and Fluxion. */
const GLOBALS = `declare const console: Readonly<Record<"debug" | "error" | "info" | "log" | "warn", (...values: readonly unknown[]) => void>>;\n`;

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ["lib.es2023.d.ts"],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  strict: true,
  types: [],
  noEmit: true,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
  paths: { fluxion: ["/fluxion/index.d.ts"] },
};

const questions = createWorker(async () => {
  const [fluxion, library] = await Promise.all([
    import("virtual:fluxion-declarations"),
    import("virtual:typescript-library"),
  ]);
  const files = new Map<string, string>([
    ...Object.entries(library.files).map(([name, text]) => [`/${name}`, text] as const),
    ...Object.entries(fluxion.files).map(([path, text]) => [`/fluxion/${path}`, text] as const),
    ["/globals.d.ts", GLOBALS],
  ]);
  // The packages' declarations name the other TypeScript, which has the same interface here.
  return createVirtualTypeScriptEnvironment(
    createSystem(files),
    ["/globals.d.ts"],
    ts as never,
    options as never,
  );
});

const worker = {
  ...questions,

  /** What is in the editor, or in a file, as the body of a function of (exports, require), which may wait for promises. */
  transpile(source: string): Transpiled {
    const { outputText, sourceMapText, diagnostics } = ts.transpileModule(source, {
      fileName: FILE,
      reportDiagnostics: true,
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, sourceMap: true },
    });
    return {
      code: outputText.replace(/^\/\/# sourceMappingURL=.*$/m, ""),
      mappings: (JSON.parse(sourceMapText ?? `{"mappings":""}`) as { readonly mappings: string }).mappings, // a source map
      problems: (diagnostics ?? []).map(problemOf),
    };
  },
};

function problemOf({ file, start, messageText }: ts.Diagnostic): Problem {
  const message = ts.flattenDiagnosticMessageText(messageText, " ");
  if (file === undefined || start === undefined) return { message };
  const { line, character } = file.getLineAndCharacterOfPosition(start);
  return { message, line: line + 1, column: character + 1 };
}

export type TypesWorker = typeof worker;

onlyConfined();
expose(worker);
