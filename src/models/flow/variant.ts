/**
 * What may be declared, trained and verified: one type for all kinds, told apart by `kind`. Consumed by verify, by the list of
 * variants and by the command line. To add a kind: its declaration here, and what verify looks at of it.
 */
import type { FlowMap } from "./flow-map.ts";
import type { Flow } from "./flow.ts";
import type { SphericalFlow } from "./sphere/spherical-flow.ts";

export type Variant = Flow | FlowMap | SphericalFlow;

/** Each kind, with a part that every declaration of it has. */
const PARTS = new Map<unknown, string>([
  ["flow", "interpolant"],
  ["flow map", "flow"],
  ["spherical flow", "path"],
] satisfies [Variant["kind"], string][]);

/** Whether a value is a declared variant, by its kind and a part of it: of what a user's file exports. */
export function isVariant(value: unknown): value is Variant {
  if (typeof value !== "object" || value === null || !("kind" in value)) return false;
  const part = PARTS.get(value.kind);
  return part !== undefined && part in value;
}
