/**
 * What kind of value each parameter of each op holds: `OpParams` at run time, in the order in which parameters print.
 *
 * Consumed by the verifier (programs may come from files), the printer and the parser. A new op's parameters are named here;
 * the compiler says which are missing.
 */
import { isProgram, UNARY_OPS, ARITHMETIC_OPS, COMPARE_OPS } from "./program.ts";
import type { AnyEquation, OpKind, OpParams, UnaryOp, BinaryOp } from "./program.ts";
import { DTYPES } from "../types/dtype.ts";

export type ParamKind =
  | "whole number"
  | "whole numbers"
  | "number"
  | "boolean"
  | "dtype"
  | "values"
  | "program"
  | "remat policy";

type ParamKinds = { readonly [K in OpKind]: { readonly [P in keyof OpParams[K]]: ParamKind } };

const attention = { scale: "number", softcap: "number", causal: "boolean" } as const;
const indexing = { axis: "whole number", batchDims: "whole number" } as const;

/** Parameters of the elementwise ops: none. */
const ELEMENTWISE = Object.fromEntries(
  [...UNARY_OPS, ...ARITHMETIC_OPS, ...COMPARE_OPS].map((op) => [op, {}]),
) as Record<UnaryOp | BinaryOp, Readonly<Record<string, never>>>; // fromEntries forgets the keys; they are the lists that the type is made of

const STRUCTURED = {
  constant: { shape: "whole numbers", dtype: "dtype", values: "values" },
  iota: { shape: "whole numbers", dtype: "dtype", axis: "whole number" },
  select: {},
  cast: { dtype: "dtype" },
  broadcast: { shape: "whole numbers", dims: "whole numbers" },
  reshape: { shape: "whole numbers" },
  transpose: { perm: "whole numbers" },
  slice: { start: "whole numbers", stop: "whole numbers", step: "whole numbers" },
  pad: { low: "whole numbers", high: "whole numbers", interior: "whole numbers" },
  concat: { axis: "whole number" },
  gather: indexing,
  scatterAdd: indexing,
  reduceSum: { axes: "whole numbers" },
  reduceMax: { axes: "whole numbers" },
  cumsum: { axis: "whole number", reverse: "boolean" },
  argmax: { axis: "whole number" },
  sort: { axis: "whole number" },
  dot: {
    lhsBatch: "whole numbers",
    rhsBatch: "whole numbers",
    lhsContract: "whole numbers",
    rhsContract: "whole numbers",
  },
  threefry: {},
  stopGradient: {},
  attention,
  attentionTangent: attention,
  attentionTranspose: attention,
  scan: {
    length: "whole number",
    consts: "whole number",
    carry: "whole number",
    reverse: "boolean",
    body: "program",
  },
  cond: { onTrue: "program", onFalse: "program" },
  while: {
    conditionConsts: "whole number",
    bodyConsts: "whole number",
    condition: "program",
    body: "program",
  },
  remat: { policy: "remat policy", body: "program" },
  customJvp: { consts: "whole number", body: "program", rule: "program" },
  customVjp: { consts: "whole number", body: "program", forward: "program", backward: "program" },
  customTangent: {
    residuals: "whole number",
    primals: "whole number",
    tangent: "program",
    backward: "program",
  },
} as const;

export const PARAMS = { ...ELEMENTWISE, ...STRUCTURED } as const satisfies ParamKinds;

export const isOpKind = (op: string): op is OpKind => Object.hasOwn(PARAMS, op);

/** An equation's parameters as [name, value], in the order in which they print. */
export function paramEntries(equation: AnyEquation): readonly (readonly [name: string, value: unknown])[] {
  // A union of plain records; messages print equations that have none.
  const values = (equation.params ?? {}) as Readonly<Record<string, unknown>>;
  return Object.keys(PARAMS[equation.op]).map((name) => [name, values[name]]);
}

const isWhole = (value: unknown): boolean =>
  Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
/** A number that JSON keeps: finite, and not −0. */
const isJsonNumber = (value: unknown): boolean => Number.isFinite(value) && !Object.is(value, -0);
const isScalar = (value: unknown): boolean =>
  isJsonNumber(value) || value === "inf" || value === "-inf" || value === "nan" || value === "-0";

/** Whether a value is of a parameter kind. Nested programs are recognized, not verified. */
const IS_KIND: { readonly [K in ParamKind]: (value: unknown) => boolean } = {
  "whole number": isWhole,
  "whole numbers": (value) => Array.isArray(value) && value.every(isWhole),
  number: isJsonNumber,
  boolean: (value) => typeof value === "boolean",
  dtype: (value) => (DTYPES as readonly unknown[]).includes(value),
  values: (value) => (Array.isArray(value) ? value.every(isScalar) : isScalar(value)),
  program: isProgram,
  "remat policy": (value) => value === "nothing" || value === "dots" || value === "everything",
};

/** What is wrong with the parameters of an op (missing, unknown, or of the wrong kind), or undefined. */
export function paramsProblem(op: OpKind, params: unknown): string | undefined {
  if (typeof params !== "object" || params === null) return "it has no parameter record";
  const values = params as Readonly<Record<string, unknown>>; // any object can be read as a record of unknowns
  const kinds: Readonly<Record<string, ParamKind>> = PARAMS[op];
  for (const [name, kind] of Object.entries(kinds)) {
    if (!Object.hasOwn(values, name)) return `parameter ${name} is missing`;
    if (!IS_KIND[kind](values[name]))
      return `parameter ${name} is ${describe(values[name])}, expected ${kind}`;
  }
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(kinds, name));
  return unknown === undefined ? undefined : `it has no parameter ${unknown}`;
}

function describe(value: unknown): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (value === undefined || typeof value === "function") return typeof value;
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
