/**
 * Ways to compute a dot that are worth timing: the heuristic's, then other rungs and other numbers of slices, all within the limits of
 * a target. Every one of them is right for every dot; they differ in speed.
 *
 * Consumed by the tuner, which times them, and where its results are used: a result names a rung by `rungName`, and only what this file
 * would offer for a dot is accepted for it. To add a candidate: a rung in `rungsFor`.
 */
import type { TargetLimits } from "../../kernel/plan.ts";
import {
  chooseDot,
  enoughWorkgroups,
  HUGE_QUADS,
  lanesOf,
  LARGE,
  LARGE_QUADS,
  LARGE_REGISTERS,
  launchDot,
  mostSlices,
  partsOf,
  SMALL,
  SMALL_QUADS,
  SMALL_REGISTERS,
} from "./dot.ts";
import type { DotConfig } from "./dot.ts";
import { matrixBytes, matrixName, matrixRungs } from "./matrix.ts";
import type { DotLayout, DotRung, DotShape } from "./problem.ts";
import { quadBytes } from "./quads.ts";
import { registerWords } from "./registers.ts";
import { SUBGROUP_LANES, fillsSubgroups } from "./subgroups.ts";
import { tileBytes } from "./tile.ts";

/** Timing more than so many takes longer than it gains. */
export const MOST_CANDIDATES = 8;

/** Longest sums, and most products, for which a lane for each element is worth trying. */
const DIRECT = { inner: 2048, products: 2 ** 26 };
/** Most rows or columns of which all are worth having in each lane; each lane holds 8 at most. */
const FEW = 16;
/** Elements that slices may leave between their two kernels: 64 MiB. */
const MOST_PARTIAL = 2 ** 24;

/** Fewer rows or columns leave most of a matrix unit's work unused. */
const LEAST_FOR_MATRICES = 16;

/** Up to so many columns, half of the widest tiles of matrix units would be empty. */
const WIDE_TILES = 128;

/** More of each line at a time: faster or slower, as lines lie in memory. The second takes more than the minimum of workgroup memory. */
const DEEP_QUADS = { ...LARGE_QUADS, depth: 16 } as const satisfies DotRung;
const DEEP_HUGE_QUADS = { ...HUGE_QUADS, depth: 16 } as const satisfies DotRung;
/** More lanes on a tile: less work for each. */
const WIDE_QUADS = { kind: "quads", tile: 64, depth: 16, each: [8, 4] } as const satisfies DotRung;

/** A rung in words: its identity in a table of results. */
export function rungName(rung: DotRung): string {
  switch (rung.kind) {
    case "direct":
      return "direct";
    case "gemv":
      return `gemv of ${rung.few} ${rung.of}, ${rung.kLanes} x ${rung.wideLanes} lanes, ${rung.fast} fast`;
    case "subgroups":
      return `subgroups, ${rung.few} ${rung.of}, along ${rung.along}`;
    case "registers":
      return `registers, ${rung.each} x ${rung.each}`;
    case "quads":
      return `quads, tiles of ${rung.tile} by ${rung.tile / rung.each[0]} x ${rung.tile / rung.each[1]} lanes, ${rung.depth} deep`;
    case "tile":
      return `${rung.half === true ? "f16 " : ""}tiles of ${rung.tile} by ${rung.tile / rung.each} x ${rung.tile / rung.each} lanes`;
    case "matrix":
      return matrixName(rung);
  }
}

/** A configuration in words, for people. */
export const configName = ({ rung, split }: DotConfig): string =>
  split === undefined ? rungName(rung) : `${rungName(rung)}, ${split.slices} slices`;

/** Bytes of a workgroup's shared arrays. */
function sharedBytes(rung: DotRung): number {
  switch (rung.kind) {
    case "direct":
      return 0;
    case "gemv":
      return 4 * rung.few * rung.kLanes * rung.wideLanes;
    case "subgroups":
      return 4 * SUBGROUP_LANES * rung.few;
    case "registers":
      return 4 * registerWords(rung);
    case "tile":
      return tileBytes(rung);
    case "quads":
      return quadBytes(rung);
    case "matrix":
      return matrixBytes(rung);
  }
}

/** The rungs that are worth trying, the heuristic's first. */
function rungsFor(shape: DotShape, layout: DotLayout, limits: TargetLimits): readonly DotRung[] {
  const { batch, rows, columns, inner } = shape;
  const rungs: DotRung[] = [chooseDot(shape, layout, limits).rung];
  const short = Math.min(rows, columns);
  const halves = limits.f16 === true && layout.dtype === "f16" && layout.computed !== true;
  if (halves && short >= LEAST_FOR_MATRICES)
    rungs.push(...matrixRungs(limits, inner).filter((rung) => rung.ahead !== true || columns > WIDE_TILES));
  if (halves && short > 4)
    rungs.push({ ...SMALL, half: true }, ...(short > 16 ? [{ ...LARGE, half: true } as const] : []));
  if (limits.software === true && short > 4) rungs.push(SMALL, ...(short > 16 ? [LARGE] : []));
  if (short > 16) rungs.push(LARGE_QUADS, DEEP_QUADS, WIDE_QUADS);
  if (short > 64) rungs.push(HUGE_QUADS, DEEP_HUGE_QUADS);
  if (short > 4) rungs.push(SMALL_QUADS);
  if (limits.software === true && short > 4)
    rungs.push(SMALL_REGISTERS, ...(short > 32 ? [LARGE_REGISTERS] : []));
  if (short <= FEW && inner > 8) {
    const few = Math.min(8, 2 ** Math.ceil(Math.log2(short)));
    const of = rows <= columns ? "rows" : "columns";
    const common = { kind: "gemv", few, of } as const;
    if (fillsSubgroups(limits))
      rungs.push({ kind: "subgroups", few, of, along: "k" }, { kind: "subgroups", few, of, along: "wide" });
    rungs.push(
      { ...common, kLanes: few <= 2 ? 64 : 16, wideLanes: 4, fast: "k" },
      { ...common, kLanes: few <= 2 ? 32 : 8, wideLanes: 8, fast: "wide" },
    );
  }
  if (inner <= DIRECT.inner && batch * rows * columns * inner <= DIRECT.products)
    rungs.push({ kind: "direct" });
  const named = new Map(rungs.map((rung) => [rungName(rung), rung]));
  return [...named.values()].filter(
    (rung) => lanesOf(rung) <= limits.lanes && sharedBytes(rung) <= limits.sharedBytes,
  );
}

/** Slices that a dot on this rung may be cut into. */
function slicesAllowed(shape: DotShape, rung: DotRung): number {
  if (rung.kind === "direct") return 1;
  const room = Math.floor(MOST_PARTIAL / (shape.batch * shape.rows * shape.columns));
  return Math.max(1, Math.min(mostSlices(shape), room));
}

/** At most `MOST_CANDIDATES` different ways to compute a dot within the limits; the first is the heuristic's. */
export function dotCandidates(
  shape: DotShape,
  layout: DotLayout,
  limits: TargetLimits,
): readonly DotConfig[] {
  const rungs = rungsFor(shape, layout, limits);
  /** In as many slices as fill a GPU so many times. */
  const filling = (rung: DotRung, times: number): DotConfig => {
    const wanted = Math.round((times * enoughWorkgroups(limits, lanesOf(rung))) / partsOf(shape, rung));
    return launchDot(shape, rung, Math.min(wanted, slicesAllowed(shape, rung)));
  };
  const candidates = [
    chooseDot(shape, layout, limits),
    ...rungs.map((rung) => filling(rung, 1)),
    ...rungs.map((rung) => filling(rung, 4)),
    ...rungs.map((rung) => launchDot(shape, rung, 1)),
  ];
  const different = new Map<string, DotConfig>();
  for (const config of candidates)
    if (!different.has(configName(config))) different.set(configName(config), config);
  return [...different.values()].slice(0, MOST_CANDIDATES);
}

/** The dot on the rung of that name in about so many slices; undefined when there is no such candidate for it. */
export function namedDot(
  shape: DotShape,
  layout: DotLayout,
  limits: TargetLimits,
  named: { readonly rung: string; readonly slices: number },
): DotConfig | undefined {
  const rung = rungsFor(shape, layout, limits).find((known) => rungName(known) === named.rung);
  return rung === undefined
    ? undefined
    : launchDot(shape, rung, Math.min(named.slices, slicesAllowed(shape, rung)));
}
