/**
 * What may be declared, trained and verified: one type for all kinds, told apart by `kind`. Consumed by verify, by the list of
 * variants and by the command line. To add a kind: its declaration here, and what verify looks at of it.
 */
import type { FlowMap } from "./flow-map.ts";
import type { Flow } from "./flow.ts";
import type { SphericalFlow } from "./sphere/spherical-flow.ts";

export type Variant = Flow | FlowMap | SphericalFlow;

const KINDS: readonly unknown[] = ["flow", "flow map", "spherical flow"] satisfies readonly Variant["kind"][];

/** Whether a value is a declared variant, by its kind: of what a user's file exports. */
export const isVariant = (value: unknown): value is Variant =>
  typeof value === "object" && value !== null && "kind" in value && KINDS.includes(value.kind);
