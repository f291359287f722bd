// Compiles generated TypeScript with the repo's own compiler and options, for tests about what users see when
// they err.
// Consumed by: the tests of this folder. SURFACE is a small op surface in the pattern of
// src/dsl/types/check.ts.
// To add an op: a `declare function` in SURFACE, then cases in sentences.test.ts.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export const SURFACE = `
import type * as t from ${JSON.stringify(join(ROOT, "src/dsl/types/index.ts"))};
type Tensor<S extends t.Shape = t.Shape, D extends t.DType = t.DType> = t.Tensor<S, D>;
type S<T extends t.Tensor> = t.ShapeOf<T>;
type D<T extends t.Tensor> = t.DTypeOf<T>;
type Add<A extends t.Tensor, B extends t.Tensor> = t.Broadcast<S<A>, S<B>, "add">;
type Both<Op extends string, A extends t.Tensor, B extends t.Tensor> = t.BinaryDType<Op, D<A>, D<B>>;
type Ss<Ts extends readonly t.Tensor[]> = t.ShapesOf<Ts>;
type Common<Op extends string, Ts extends readonly t.Tensor[]> = t.CommonDType<Op, t.DTypesOf<Ts>>;
type Axes = number | readonly number[] | undefined;
type Given = Readonly<Record<string, t.Dim>>;
type None = Record<never, never>;
declare function f32<const S extends t.Dim[]>(...shape: S): t.Tensor<S, "f32">;
declare function i32<const S extends t.Dim[]>(...shape: S): t.Tensor<S, "i32">;
declare function u32<const S extends t.Dim[]>(...shape: S): t.Tensor<S, "u32">;
declare function exp<A extends t.Tensor>(
  a: t.Valid<A, t.RequireDType<"exp", D<A>, "f32" | "f16">>,
): t.Result<S<A>, t.RequireDType<"exp", D<A>, "f32" | "f16">>;
declare function add<A extends t.Tensor, B extends t.Tensor>(
  a: A, b: t.Valid<B, Add<A, B> | Both<"add", A, B>>,
): t.Result<Add<A, B>, Both<"add", A, B>>;
declare function matmul<A extends t.Tensor, B extends t.Tensor>(
  a: A, b: t.Valid<B, t.MatMul<S<A>, S<B>> | Both<"matmul", A, B>>,
): t.Result<t.MatMul<S<A>, S<B>>, Both<"matmul", A, B>>;
declare function einsum<Spec extends string, Ts extends t.Tensor[]>(
  spec: t.Valid<Spec, t.Einsum<Spec, Ss<Ts>> | Common<"einsum", Ts>>, ...operands: Ts
): t.Result<t.Einsum<Spec, Ss<Ts>>, Common<"einsum", Ts>>;
declare function sum<A extends t.Tensor, const X extends Axes = undefined, K extends boolean = false>(
  a: A, axes?: t.Valid<X, t.Reduce<S<A>, X, K, "sum">>, keepDims?: K,
): t.Result<t.Reduce<S<A>, X, K, "sum">, D<A>>;
declare function concat<const Ts extends readonly t.Tensor[], X extends number = 0>(
  tensors: t.Valid<Ts, t.Concat<Ss<Ts>, X> | Common<"concat", Ts>>, axis?: X,
): t.Result<t.Concat<Ss<Ts>, X>, Common<"concat", Ts>>;
declare function stack<const Ts extends readonly t.Tensor[], X extends number = 0>(
  tensors: t.Valid<Ts, t.Stack<Ss<Ts>, X> | Common<"stack", Ts>>, axis?: X,
): t.Result<t.Stack<Ss<Ts>, X>, Common<"stack", Ts>>;
declare function transpose<A extends t.Tensor, const P extends readonly number[] | undefined = undefined>(
  a: A, perm?: t.Valid<P, t.Transpose<S<A>, P>>,
): t.Result<t.Transpose<S<A>, P>, D<A>>;
declare function expandDims<A extends t.Tensor, X extends number>(
  a: A, axis: t.Valid<X, t.ExpandDims<S<A>, X>>,
): t.Result<t.ExpandDims<S<A>, X>, D<A>>;
declare function squeeze<A extends t.Tensor, const X extends Axes = undefined>(
  a: A, axes?: t.Valid<X, t.Squeeze<S<A>, X>>,
): t.Result<t.Squeeze<S<A>, X>, D<A>>;
declare function slice<A extends t.Tensor, X extends number, B extends number, E extends number>(
  a: A, axis: t.Valid<X, t.Slice<S<A>, X, B, E>>, start: B, end: E,
): t.Result<t.Slice<S<A>, X, B, E>, D<A>>;
declare function gather<A extends t.Tensor, I extends Tensor<t.Shape, "i32" | "u32">, X extends number = 0>(
  a: A, index: I, axis?: t.Valid<X, t.Gather<S<A>, S<I>, X>>,
): t.Result<t.Gather<S<A>, S<I>, X>, D<A>>;
declare function broadcastTo<A extends t.Tensor, const T extends t.Dim[]>(
  a: t.Valid<A, t.BroadcastTo<S<A>, T>>, ...shape: T
): t.Result<t.BroadcastTo<S<A>, T>, D<A>>;
declare function reshape<A extends t.Tensor, const T extends t.Dim[]>(
  a: t.Valid<A, t.Reshape<S<A>, T>>, ...shape: T
): t.Result<t.Reshape<S<A>, T>, D<A>>;
declare function rearrange<A extends t.Tensor, Spec extends string, const G extends Given = None>(
  a: A, spec: t.Valid<Spec, t.Rearrange<Spec, S<A>, G>>, sizes?: G,
): t.Result<t.Rearrange<Spec, S<A>, G>, D<A>>;
declare const dynamic: t.Tensor<t.Shape, "f32">;
declare const either: t.Tensor<[3], "f32"> | t.Tensor<[4], "f32">;
declare const wide: t.Tensor<[number, number], "f32">;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function same<A, B>(yes: Same<A, B>): void;
`;

export interface Compiled {
  /** Diagnostics by the 1-based line of the source they stand on. */
  readonly byLine: ReadonlyMap<number, string>;
  readonly output: string;
  /** How many types the checker instantiated: its work, independent of the machine. */
  readonly instantiations: number;
  readonly seconds: number;
}

/** Type-checks `source` (and the repo files in `also`) under the repo's tsconfig. */
export const compile = (source: string, also: readonly string[] = []): Compiled => {
  const folder = mkdtempSync(join(tmpdir(), "fluxion-types-"));
  try {
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
    writeFileSync(join(folder, "case.ts"), source);
    const config = {
      extends: join(ROOT, "tsconfig.json"),
      // The generated file reaches the repo by absolute path, and leaves its results unused.
      compilerOptions: {
        rewriteRelativeImportExtensions: false,
        noUnusedLocals: false,
        types: also.length > 0 ? ["node"] : [],
        typeRoots: [join(ROOT, "node_modules/@types")],
      },
      files: ["case.ts", ...also.map((path) => join(ROOT, path))],
      include: [],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const args = ["--noEmit", "--pretty", "false", "--extendedDiagnostics", "-p", folder];
    const { stdout, error } = spawnSync(join(ROOT, "node_modules/.bin/tsc"), args, {
      encoding: "utf8",
      cwd: folder,
    });
    if (error) throw error;
    const byLine = new Map<number, string>();
    let line = 0;
    for (const text of stdout.split("\n")) {
      const found = /^case\.ts\((\d+),\d+\): error (.*)$/.exec(text);
      if (found) line = Number(found[1]);
      else if (!text.startsWith("  ")) line = 0;
      if (line > 0) byLine.set(line, `${byLine.get(line) ?? ""}${found?.[2] ?? text}\n`);
    }
    const number = (name: string): number => {
      const found = new RegExp(`^${name}:\\s+([\\d.]+)`, "m").exec(stdout);
      if (!found) throw new Error(`tsc printed no ${name}: ${stdout}`);
      return Number(found[1]);
    };
    return {
      byLine,
      output: stdout,
      instantiations: number("Instantiations"),
      seconds: number("Total time"),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** The first errors in compiler output, without the statistics. */
export const errorsIn = (output: string): string => {
  const errors = output.split("\n").filter((line) => line.includes("error TS"));
  return errors.slice(0, 10).join("\n");
};
