/**
 * When slots are needed no more. Consumed by the builder as it closes a block. A slot that a nested block reads is used by the step
 * that holds the block; each block disposes of what it made itself, so nothing is disposed of twice.
 */
import type { Block, Slot, Step } from "./plan.ts";

/** Slots of outer blocks that a block reads, and perhaps some of its own. */
const readBy = ({ steps, outputs }: Block): readonly Slot[] => [...steps.flatMap(inputsOf), ...outputs];

/** Slots that a step reads, once for each time. */
export function inputsOf(step: Step): readonly Slot[] {
  switch (step.kind) {
    case "call":
      return Object.values(step.inputs);
    case "host":
      return step.inputs;
    case "scan":
      return [...step.carried, ...step.scanned.map(({ slot }) => slot), ...readBy(step.body)];
    case "cond":
      return [step.predicate, ...readBy(step.onTrue), ...readBy(step.onFalse)];
    case "while":
      return [...step.carried, ...readBy(step.condition), ...readBy(step.body)];
  }
}

/** Blocks that a step holds. */
function nestedIn(step: Step): readonly Block[] {
  switch (step.kind) {
    case "scan":
      return [step.body];
    case "cond":
      return [step.onTrue, step.onFalse];
    case "while":
      return [step.condition, step.body];
    default:
      return [];
  }
}

/** Names of the kernels that a block calls on the plan's own backend, nested blocks included; some more than once. */
export const kernelsOf = ({ steps }: Block): readonly string[] =>
  steps.flatMap((step) =>
    step.kind === "call"
      ? step.cpu === undefined
        ? [step.kernel]
        : []
      : nestedIn(step).flatMap((block) => kernelsOf(block)),
  );

/** Slots that a step fills in its own block. */
export const outputsOf = (step: Step): readonly Slot[] =>
  step.kind === "call" ? [step.output] : step.outputs;

/** The releases of a block. @param owned the inputs that the block has to dispose of, or may return */
export function releasesOf(
  steps: readonly Step[],
  outputs: readonly Slot[],
  owned: readonly Slot[],
): Block["releases"] {
  const lastUse = new Map<Slot, number>(owned.map((slot) => [slot, 0]));
  steps.forEach((step, i) => {
    for (const slot of outputsOf(step)) lastUse.set(slot, i + 1);
    for (const slot of inputsOf(step)) if (lastUse.has(slot)) lastUse.set(slot, i + 1);
  });
  const releases = Array.from({ length: steps.length + 1 }, (): Slot[] => []);
  for (const [slot, at] of lastUse) if (!outputs.includes(slot)) releases[at]?.push(slot);
  return releases;
}
