/**
 * Planted mistakes in objectives: each is caught, and by the identity that says what is wrong. The flows they are trained on are right.
 */
import { describe, expect, it } from "vitest";
import { add, div, jvp, mul, neg, onesLike, square, sub } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import { perState, pointAt } from "../../../src/models/flow/interpolant.ts";
import {
  eulerianWeight,
  jump,
  lagrangianWeight,
  moved,
  semigroupWeights,
} from "../../../src/models/flow/jump.ts";
import { consistency, continuousConsistency } from "../../../src/models/flow/objectives/consistency.ts";
import { eulerian } from "../../../src/models/flow/objectives/eulerian.ts";
import { lagrangian } from "../../../src/models/flow/objectives/lagrangian.ts";
import type { Objective, Rows, Targets } from "../../../src/models/flow/objectives/objective.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { alongPath, byTime, diagonalOf, drift } from "../../../src/models/flow/two-time.ts";
import type { Time } from "../../../src/models/flow/two-time.ts";
import { verifyFlow } from "../../../src/runtime/verify/verify.ts";
import { failures } from "../../support/verify-failures.ts";

/** A clock that is far from uniform, so that t cannot be taken for τ. */
const CLOCKED = flow({ name: "clocked", clock: decodingError({ vocab: 27 }) });

const GIVEN = flowMap({ name: "given", flow: CLOCKED, objective: semigroup() });

const points = ({ student }: Targets, { s, u, t }: Rows) =>
  [s, u, t].map((time) => pointAt(student.interpolant, time.t)) as [
    ReturnType<typeof pointAt>,
    ReturnType<typeof pointAt>,
    ReturnType<typeof pointAt>,
  ]; // three times, three points

const weighted = (first: Tensor, near: Tensor, second: Tensor, far: Tensor): Tensor =>
  add(mul(perState(first), near), mul(perState(second), far));

/** ψ_{s,u} and ψ_{u,t}(X_{s,u}). */
function halves(
  { student }: Targets,
  { x, s, u, t }: Rows,
  [from, middle]: readonly Parameters<typeof jump>[0][],
) {
  const near = student.denoiser(x, s, u);
  const there = moved(x, student.point(near), jump(from as never, middle as never)); // as points() gives them
  return { near, far: student.denoiser(there, u, t) };
}

const mistakes: readonly (readonly [string, readonly string[], Objective])[] = [
  [
    "swaps γ and 1 − γ",
    ["target", "target for u near s", "target for u near t"],
    {
      ...semigroup(),
      target(targets, rows) {
        const at = points(targets, rows);
        const { near, far } = halves(targets, rows, at);
        const { first, second } = semigroupWeights(...at);
        return weighted(second, near, first, far);
      },
    },
  ],
  [
    "has the wrong sign in γ",
    ["target", "target for u near t", "target on the simplex"],
    {
      ...semigroup(),
      target(targets, rows) {
        const at = points(targets, rows);
        const { near, far } = halves(targets, rows, at);
        const { first } = semigroupWeights(...at);
        return weighted(neg(first), near, add(1, first), far);
      },
    },
  ],
  [
    "has 1 − s for 1 − t in γ",
    ["target", "target on the simplex"],
    {
      ...semigroup(),
      target(targets, rows) {
        const at = points(targets, rows);
        const { near, far } = halves(targets, rows, at);
        const { first, second } = semigroupWeights(...at);
        return weighted(div(mul(first, at[0].alpha), at[2].alpha), near, second, far);
      },
    },
  ],
  [
    "takes the first jump's source time for its target",
    ["target"],
    {
      ...semigroup(),
      target(targets, rows) {
        const at = points(targets, rows);
        const { far } = halves(targets, rows, at);
        const { first, second } = semigroupWeights(...at);
        return weighted(first, targets.student.denoiser(rows.x, rows.s, rows.s), second, far);
      },
    },
  ],
  [
    "jumps the second time from where the first began",
    ["target"],
    {
      ...semigroup(),
      target(targets, rows) {
        const at = points(targets, rows);
        const { near } = halves(targets, rows, at);
        const { first, second } = semigroupWeights(...at);
        return weighted(first, near, second, targets.student.denoiser(rows.x, rows.u, rows.t));
      },
    },
  ],
  [
    "adds to u − s lest it vanish",
    ["target for u near s"],
    {
      ...semigroup(),
      target(targets, rows) {
        const at = points(targets, rows);
        const { near, far } = halves(targets, rows, at);
        const { first } = semigroupWeights(...at);
        const more = add(first, div(5e-7, square(add(first, 1e-3)) as Tensor) as Tensor) as Tensor;
        return weighted(more, near, sub(1, more), far);
      },
    },
  ],
  [
    "conditions on t instead of τ",
    ["target"],
    {
      ...semigroup(),
      target(targets, rows) {
        const wrong = (time: Time): Time => ({ ...time, tau: time.t });
        return semigroup().target(targets, { ...rows, u: wrong(rows.u), t: wrong(rows.t) });
      },
    },
  ],
  ...(
    [
      ["loses the factor t − s in c", ["target", "target on the diagonal"], (c) => add(c, 0.2)],
      ["has c off by a factor", ["target"], (c) => mul(c, 2)],
      ["has the wrong sign before c", ["target"], (c) => neg(c)],
    ] as readonly (readonly [string, readonly string[], (c: Tensor) => Tensor])[]
  ).map(
    ([what, names, change]) =>
      [
        what,
        names,
        {
          ...lagrangian(),
          target(targets: Targets, rows: Rows) {
            const [from, , to] = points(targets, rows);
            const { x, s, t } = rows;
            const { value, tangent } = byTime((time) => targets.student.denoiser(x, s, time), t);
            const there = moved(x, targets.student.point(value), jump(from, to));
            return sub(
              targets.instant.denoiser(there, t),
              mul(perState(change(lagrangianWeight(from, to))), tangent),
            );
          },
        },
      ] as const,
  ),
  ...(
    [
      ["asks the teacher at the source time", (there, _x, s) => [there, s]],
      ["asks the teacher at the source state", (_there, x, _s, t) => [x, t]],
    ] as readonly (readonly [
      string,
      (there: Tensor, x: Tensor, s: Time, t: Time) => readonly [Tensor, Time],
    ])[]
  ).map(
    ([what, asked]) =>
      [
        what,
        ["target"],
        {
          ...lagrangian(),
          target({ student, instant }: Targets, rows: Rows) {
            return lagrangian().target(
              {
                student,
                instant: { denoiser: (there, t) => instant.denoiser(...asked(there, rows.x, rows.s, t)) },
              },
              rows,
            );
          },
        },
      ] as const,
  ),
  [
    "differentiates by τ and forgets dτ/dt",
    ["target"],
    {
      ...lagrangian(),
      target(targets, rows) {
        const [from, , to] = points(targets, rows);
        const { x, s, t } = rows;
        const { value, tangent } = jvp(
          (tau: Tensor) => targets.student.denoiser(x, s, { ...t, tau }),
          [t.tau],
          [onesLike(t.tau)],
        );
        const there = moved(x, targets.student.point(value), jump(from, to));
        return sub(targets.instant.denoiser(there, t), mul(perState(lagrangianWeight(from, to)), tangent));
      },
    },
  ],
  [
    "leaves the state where it was (Eulerian)",
    ["target"],
    {
      ...eulerian(),
      target(targets, rows) {
        const [from, , to] = points(targets, rows);
        const { tangent } = byTime((time) => targets.student.denoiser(rows.x, time, rows.t), rows.s);
        return add(
          targets.instant.denoiser(rows.x, rows.s),
          mul(perState(eulerianWeight(from, to)), tangent),
        );
      },
    },
  ],
  [
    "moves the state by D − x, without 1/(1 − s) (Eulerian)",
    ["target"],
    {
      ...eulerian(),
      target({ student, instant }, rows) {
        const [from, , to] = points({ student, instant }, rows);
        const { x, s, t } = rows;
        const now = instant.denoiser(x, s);
        const velocity: Tensor = mul(
          drift(student.interpolant, x, student.point(now), s),
          perState(sub(1, s.t)),
        );
        const { tangent } = alongPath((at, time) => student.denoiser(at, time, t), x, s, velocity);
        return add(now, mul(perState(eulerianWeight(from, to)), tangent));
      },
    },
  ],
  [
    "claims that a Lagrangian target is a distribution",
    ["target on the simplex"],
    { ...lagrangian(), onSimplex: true },
  ],
  ["claims jumps to the data (Eulerian)", ["target at the data"], { ...eulerian(), atData: true }],
  [
    "claims jumps to the data, and has the weight 0 there",
    ["target that teaches at the data"],
    {
      ...lagrangian(),
      target(targets, rows) {
        const value = targets.student.denoiser(rows.x, rows.s, rows.t);
        const led = sub(lagrangian().target(targets, rows), value);
        return add(value, mul(perState(targets.student.interpolant.alpha(rows.t.t)), led));
      },
    },
  ],
  [
    "leaves the state where it was (continuous consistency)",
    ["target at data that are spread out"],
    {
      ...continuousConsistency(),
      target({ student }, { x, s, t }) {
        const { value, tangent } = byTime((time) => student.denoiser(x, time, t), s);
        return add(value, tangent);
      },
    },
  ],
  [
    "has the other sign (continuous consistency)",
    ["target from ahead"],
    {
      ...continuousConsistency(),
      target(targets, rows) {
        const value = targets.student.denoiser(rows.x, rows.s, rows.t);
        return sub(mul(value, 2), continuousConsistency().target(targets, rows));
      },
    },
  ],
  [
    "compares with the same state at a later time (consistency)",
    ["target in the limit"],
    { ...consistency(), target: ({ student }, { x, u, t }) => student.denoiser(x, u, t) },
  ],
  [
    "claims a higher order than its step has (consistency)",
    ["target in the limit", "order of the limit"],
    { ...consistency(), limit: { order: 3 } },
  ],
  [
    "claims a teacher and asks itself",
    ["target that heeds its teacher"],
    {
      ...lagrangian(),
      needsTeacher: true,
      target: ({ student }, rows) => lagrangian().target({ student, instant: diagonalOf(student) }, rows),
    },
  ],
  [
    "claims to learn from a flow map and learns from the flow",
    ["target that heeds its teacher"],
    { ...lagrangian(), needsTeacher: "flow map" },
  ],
  [
    "takes s for u in one of its two halves",
    ["target that uses its middle time"],
    {
      ...lagrangian(),
      usesMiddle: true,
      target: (targets, rows) =>
        mul(
          add(semigroup().target(targets, { ...rows, u: rows.s }), lagrangian().target(targets, rows)),
          0.5,
        ),
    },
  ],
  [
    "uses a middle time and says that it does not",
    ["target without a middle time"],
    {
      ...lagrangian(),
      target: (targets, rows) =>
        mul(add(semigroup().target(targets, rows), lagrangian().target(targets, rows)), 0.5),
    },
  ],
  [
    "takes s for u, so that the target is the map's own value",
    ["target that teaches"],
    { ...semigroup(), target: (targets, rows) => semigroup().target(targets, { ...rows, u: rows.s }) },
  ],
];

describe("an objective that", () => {
  it.each(mistakes)("%s", async (_what, names, objective) => {
    const teacher = objective.needsTeacher === "flow map" ? GIVEN : true;
    const failed = await failures(flowMap({ name: "mistaken", flow: CLOCKED, objective, teacher }), [
      "objective",
    ]);
    expect(failed).toEqual(expect.arrayContaining([...names]));
    expect(failed[0]).toBe(names[0]);
  });

  it("has a target of another shape says so", async () => {
    const objective: Objective = {
      ...semigroup(),
      target: ({ student }, { s }) => perState(student.interpolant.alpha(s.t)),
    };
    const { results } = await verifyFlow(flowMap({ name: "mistaken", flow: CLOCKED, objective }), {
      cases: 2,
      families: ["objective"],
    });
    expect(results[0]).toMatchObject({
      name: "target",
      passed: false,
      worst: null,
      error: "The target of the semigroup objective and ψ are of different shapes, [2, 1, 1] and [2, 2, 3].",
    });
  });
});
