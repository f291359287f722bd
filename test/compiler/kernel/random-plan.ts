/**
 * Random plans that keep the rules, and a machine that runs a plan on storage of any layout. Consumed by the memory plan's tests.
 */
import fc from "fast-check";
import { hostTensor } from "../../../src/compiler/host-tensor.ts";
import type { Access } from "../../../src/compiler/kernel/ir.ts";
import { entered } from "../../../src/compiler/kernel/plan.ts";
import type { BufferId, Dispatch, Plan, PlanBuffer, Step, Swap } from "../../../src/compiler/kernel/plan.ts";
import type { DType } from "../../../src/dsl/types/dtype.ts";

/** Buffers 0 and 1 are input and constant, 2 an output, 3 to 5 flags, the rest temporaries of various sizes. */
const FIRST_FLAG = 3;
const FLAGS = 3;
const SIZES = [1, 3, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 40, 0];
const FIRST_TENSOR = FIRST_FLAG + FLAGS;
const BUFFERS: readonly PlanBuffer[] = [
  { type: { shape: [4], dtype: "f32" }, role: { kind: "input", position: 0 } },
  {
    type: { shape: [4], dtype: "f32" },
    role: { kind: "constant", value: hostTensor("f32", [4], [1, 2, 3, 4]) },
  },
  { type: { shape: [4], dtype: "f32" }, role: { kind: "output" } },
  ...Array.from({ length: FLAGS }, (): PlanBuffer => ({ type: { shape: [], dtype: "bool" }, role: { kind: "temporary" } })), // prettier-ignore
  ...SIZES.map((size): PlanBuffer => ({
    type: { shape: [size], dtype: "f32" },
    role: { kind: "temporary" },
  })),
];

/** A buffer as a kernel uses it; f32 unless said. */
export type Use = readonly [access: Access, id: BufferId, dtype?: DType];

/** A dispatch of a kernel of which only the buffers matter. */
export const dispatchOf = (name: string, ...uses: readonly Use[]): Dispatch => ({
  kind: "dispatch",
  kernel: {
    name,
    buffers: uses.map(([access, , dtype = "f32"]) => ({ access, dtype })),
    params: 0,
    shared: [],
    lanes: 1,
    body: [],
  },
  buffers: uses.map(([, id]) => id),
  params: [],
  workgroups: 1,
  flops: 0,
  bytes: 0,
  ops: [],
});

const use = (access: Access, id: BufferId): Use => [access, id, BUFFERS[id]?.type.dtype ?? "f32"];

const anyBuffer = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 2) },
  { weight: 6, arbitrary: fc.integer({ min: FIRST_TENSOR, max: BUFFERS.length - 1 }) },
  { weight: 1, arbitrary: fc.integer({ min: FIRST_FLAG, max: FIRST_TENSOR - 1 }) },
);
const tensor = fc.integer({ min: FIRST_TENSOR, max: BUFFERS.length - 1 });
const flag = fc.integer({ min: FIRST_FLAG, max: FIRST_TENSOR - 1 });

/** Temporaries of one size. */
const pairs = Array.from({ length: 6 }, (_, i): Swap => [FIRST_TENSOR + 2 + 2 * i, FIRST_TENSOR + 3 + 2 * i]);

type Raw =
  | { readonly kind: "dispatch"; readonly uses: readonly { readonly access: Access; readonly id: BufferId }[] }
  | { readonly kind: "copy"; readonly from: BufferId; readonly to: BufferId }
  | { readonly kind: "loop"; readonly length: number; readonly steps: readonly Raw[]; readonly swaps: readonly Swap[] }
  | { readonly kind: "while" | "branch"; readonly flag: BufferId; readonly one: readonly Raw[]; readonly other: readonly Raw[] }; // prettier-ignore

const { steps } = fc.letrec<{ step: Raw; steps: readonly Raw[] }>((tie) => ({
  step: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("dispatch" as const),
        uses: fc.uniqueArray(
          fc.record({ access: fc.constantFrom<Access>("read", "read", "write", "readWrite"), id: anyBuffer }),
          { minLength: 1, maxLength: 4, selector: ({ id }) => id },
        ),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("copy" as const), from: tensor, to: tensor }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("loop" as const),
        length: fc.constantFrom(0, 1, 2, 2, 3),
        steps: tie("steps"),
        swaps: fc.uniqueArray(fc.constantFrom(...pairs), {
          maxLength: 2,
          comparator: (a, b) => a.some((id) => b.includes(id)),
        }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom("while" as const, "branch" as const),
        flag,
        one: tie("steps"),
        other: tie("steps"),
      }),
    },
  ),
  steps: fc.array(tie("step"), { minLength: 1, maxLength: 8, size: "max" }),
}));

const isTemporary = (id: BufferId): boolean => id >= FIRST_FLAG;

/** Replaces reads of what may not be written yet by reads of the input, and drops what cannot be replaced. */
function mend(raw: readonly Raw[], written: Set<BufferId>): Step[] {
  const known = (id: BufferId): boolean => !isTemporary(id) || written.has(id);
  return raw.flatMap((step, n): Step[] => {
    switch (step.kind) {
      case "dispatch": {
        const uses = new Map<BufferId, Access>();
        for (const { access, id } of step.uses) {
          const fixed = id < 2 ? "read" : access !== "write" && !known(id) ? "write" : access;
          uses.set(id, fixed);
        }
        for (const [id, access] of uses) if (access !== "read") written.add(id);
        return [dispatchOf(`k${n}`, ...[...uses].map(([id, access]) => use(access, id)))];
      }
      case "copy": {
        const to = BUFFERS.findIndex(
          ({ type }, id) => id !== step.from && isTemporary(id) && type.shape[0] === BUFFERS[step.from]?.type.shape[0],
        ); // prettier-ignore
        if (to < 0 || !known(step.from)) return [];
        written.add(to);
        return [{ kind: "copy", from: step.from, to }];
      }
      case "loop": {
        const { length } = step;
        const inside = length === 0 ? new Set(written) : written;
        // What a pair begins with is there; what an iteration left in its second buffer is not where it was.
        const swaps = length === 0 ? [] : step.swaps.filter((pair) => written.has(entered(length, pair)));
        for (const [carried, next] of swaps) {
          inside.add(carried);
          inside.delete(next);
        }
        const steps = mend(step.steps, inside);
        for (const [, next] of swaps) {
          if (!inside.has(next)) steps.push(dispatchOf("next", use("read", 0), use("write", next)));
          inside.delete(next);
        }
        return [{ kind: "loop", length, steps, swaps }];
      }
      case "while": {
        const condition = mend(step.one, written);
        if (!written.has(step.flag))
          condition.push(dispatchOf("test", use("read", 0), use("write", step.flag)));
        written.add(step.flag);
        return [{ kind: "while", condition, flag: step.flag, body: mend(step.other, new Set(written)) }];
      }
      case "branch": {
        const before: Step[] = written.has(step.flag)
          ? []
          : [dispatchOf("test", use("read", 0), use("write", step.flag))];
        written.add(step.flag);
        const [one, other] = [new Set(written), new Set(written)];
        const arms = { onTrue: mend(step.one, one), onFalse: mend(step.other, other) };
        for (const id of one) if (other.has(id)) written.add(id);
        return [...before, { kind: "branch", flag: step.flag, ...arms }];
      }
    }
  });
}

export const randomPlan: fc.Arbitrary<Plan> = steps.map((raw) => ({
  buffers: BUFFERS,
  steps: mend(raw, new Set()),
  inputs: [0],
  outputs: [2],
}));

/**
 * Runs a plan in which every kernel leaves, in what it writes, a digest of what it read, and returns all that was read.
 * @param placeOf where each buffer's contents lie
 * @param decide what the host finds in a flag, in turn; undefined: false from here on
 */
export function simulate(
  plan: Plan,
  placeOf: (id: BufferId) => string,
  decisions: readonly boolean[],
): readonly string[] {
  const contents = new Map<string, number>();
  const places = new Map<BufferId, string>();
  const whereIs = (id: BufferId): string => places.get(id) ?? placeOf(id);
  const swap = (swaps: readonly Swap[] = []): void => {
    for (const [a, b] of swaps) {
      const [one, other] = [whereIs(a), whereIs(b)];
      places.set(a, other).set(b, one);
    }
  };
  const seen: string[] = [];
  let [decided, ran] = [0, 0];
  const read = (id: BufferId): number => {
    const found = contents.get(whereIs(id)) ?? 0;
    if (BUFFERS[id]?.type.shape[0] !== 0) seen.push(`${id}=${found}`);
    return found;
  };
  const decide = (flag: BufferId): boolean => {
    read(flag);
    return decisions[decided++] ?? false;
  };
  const run = (steps: readonly Step[]): void => {
    for (const step of steps) {
      switch (step.kind) {
        case "dispatch": {
          let digest = ++ran;
          step.buffers.forEach((id, i) => {
            if (step.kernel.buffers[i]?.access !== "write") digest = (digest * 31 + read(id)) % 1_000_003;
          });
          step.buffers.forEach((id, i) => {
            if (step.kernel.buffers[i]?.access !== "read") contents.set(whereIs(id), digest + i);
          });
          break;
        }
        case "copy":
          contents.set(whereIs(step.to), read(step.from));
          break;
        case "loop":
          if (step.length % 2 === 1) swap(step.swaps);
          for (let i = 0; i < step.length; i++) {
            run(step.steps);
            swap(step.swaps);
          }
          break;
        case "while":
          for (run(step.condition); decide(step.flag); run(step.condition)) run(step.body);
          break;
        case "branch":
          run(decide(step.flag) ? step.onTrue : step.onFalse);
      }
    }
  };
  run(plan.steps);
  return seen;
}
