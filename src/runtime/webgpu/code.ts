/**
 * A plan as a list of instructions with jumps: what an executable goes through at each run, whatever the nesting of loops, and can
 * stop anywhere in to wait. Pure.
 *
 * Consumed by executables. A new kind of step needs a case in `flatten`.
 */
import type { BufferId, Copy, Dispatch, Plan, Step, Swap } from "../../compiler/kernel/plan.ts";

export type Instruction =
  /** `index` counts the dispatches in the list. */
  | { readonly kind: "dispatch"; readonly index: number }
  | Copy
  /** Exchanges the places of two buffers. */
  | { readonly kind: "swap"; readonly pair: Swap }
  /** Starts counting the loop of that depth at 0. */
  | { readonly kind: "enter"; readonly depth: number }
  /** Counts, and goes back to `start` until the count is `length`. */
  | { readonly kind: "repeat"; readonly depth: number; readonly length: number; readonly start: number }
  /** Reads the flag, and goes to `otherwise` when it is 0. */
  | { readonly kind: "test"; readonly flag: BufferId; readonly otherwise: number }
  | { readonly kind: "jump"; readonly to: number };

/** A dispatch and the lengths of the loops around it, the outermost first. */
export interface PlacedDispatch {
  readonly dispatch: Dispatch;
  readonly lengths: readonly number[];
}

export interface Code {
  readonly instructions: readonly Instruction[];
  readonly dispatches: readonly PlacedDispatch[];
  /** Depth of the deepest loop. */
  readonly depth: number;
}

/** What never does anything (no workgroups, no iterations) is left out. */
export function flatten(plan: Plan): Code {
  const instructions: Instruction[] = [];
  const dispatches: PlacedDispatch[] = [];
  let deepest = 0;

  const writeAll = (steps: readonly Step[], lengths: readonly number[]): void => {
    for (const step of steps) write(step, lengths);
  };
  /** Keeps a place for an instruction whose target is known later. */
  const reserve = (): ((instruction: Instruction) => void) => {
    const at = instructions.push({ kind: "jump", to: 0 }) - 1;
    return (instruction) => {
      instructions[at] = instruction;
    };
  };

  const write = (step: Step, lengths: readonly number[]): void => {
    switch (step.kind) {
      case "dispatch":
        if (step.workgroups === 0) return;
        instructions.push({ kind: "dispatch", index: dispatches.push({ dispatch: step, lengths }) - 1 });
        return;
      case "copy":
        instructions.push(step);
        return;
      case "loop": {
        if (step.length === 0) return;
        const depth = lengths.length;
        deepest = Math.max(deepest, depth + 1);
        const swaps = (step.swaps ?? []).map((pair): Instruction => ({ kind: "swap", pair }));
        if (step.length % 2 === 1) instructions.push(...swaps);
        const start = instructions.push({ kind: "enter", depth });
        writeAll(step.steps, [...lengths, step.length]);
        instructions.push(...swaps);
        instructions.push({ kind: "repeat", depth, length: step.length, start });
        return;
      }
      case "while": {
        const start = instructions.length;
        writeAll(step.condition, lengths);
        const test = reserve();
        writeAll(step.body, lengths);
        instructions.push({ kind: "jump", to: start });
        test({ kind: "test", flag: step.flag, otherwise: instructions.length });
        return;
      }
      case "branch": {
        const test = reserve();
        writeAll(step.onTrue, lengths);
        const leave = reserve();
        test({ kind: "test", flag: step.flag, otherwise: instructions.length });
        writeAll(step.onFalse, lengths);
        leave({ kind: "jump", to: instructions.length });
      }
    }
  };
  writeAll(plan.steps, []);
  return { instructions, dispatches, depth: deepest };
}
