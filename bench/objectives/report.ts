/**
 * Results of the comparison as a table for people. Consumed by run.ts.
 */
import type { Machine } from "../machine.ts";
import type { FlowResult, MapResult } from "./compete.ts";
import type { Quality } from "./measure.ts";
import type { Settings } from "./settings.ts";

/** What the results file holds. */
export interface ObjectivesReport {
  /** Of corpus, settings, seed and number of samples: results of one file have one. */
  readonly identity: string;
  readonly command: string;
  readonly machine: Machine;
  readonly device: string;
  /** Runnable processes of the minute before, on average. */
  readonly load: number;
  readonly corpus: {
    readonly name: string;
    readonly sentences: number;
    readonly vocabulary: number;
    readonly length: number;
  };
  readonly settings: Settings;
  readonly seed: number;
  readonly flow: FlowResult;
  readonly objectives: readonly MapResult[];
}

const percent = (x: number): string => (100 * x).toFixed(1);
const share = ({ known, interval }: Quality): string =>
  `${percent(known)} (${percent(interval[0])}-${percent(interval[1])})`;

/** What the largest gradient of a training was, as its curve says; "not finite" where one was not. */
export function largestGradient({ curve }: Pick<MapResult, "curve">): string {
  const found = curve.map(({ largestGradientNorm }) => largestGradientNorm);
  return found.includes(null) ? "not finite" : Math.max(...found.map((x) => x ?? 0)).toFixed(1);
}

const negative = ({ targets }: Pick<MapResult, "targets">): string =>
  targets === undefined ? "" : targets.negative.toFixed(3);

const row = (name: string, quality: Quality, more: readonly string[]): readonly string[] => [
  name,
  share(quality),
  `${quality.sentences}`,
  quality.distance.toFixed(3),
  quality.followed === undefined ? "" : percent(quality.followed),
  ...more,
];

export function formatResults({ corpus, settings, flow, objectives }: ObjectivesReport): string {
  const { width, depth, flow: taught, map } = settings;
  const ends = Object.entries(flow.steps).map(([n, quality]) =>
    row(`${flow.name}, ${n} steps`, quality, ["", "", "", "", ""]),
  );
  const rows = [
    [
      "",
      "known, %",
      "sentences",
      "distance",
      "as exact, %",
      "2 steps",
      "4 steps",
      "most gradient",
      "negative",
      "ms a step",
    ],
    row("the exact flow", flow.exact, ["", "", "", "", ""]),
    ...ends,
    ...objectives.map((result) => {
      const [one, two, four] = [result.steps["1"], result.steps["2"], result.steps["4"]];
      const shown = (quality: Quality | undefined): string =>
        quality === undefined ? "" : percent(quality.known);
      const rest = [
        shown(two),
        shown(four),
        largestGradient(result),
        negative(result),
        result.millisecondsPerStep.toFixed(0),
      ];
      return one === undefined ? [result.name, "", "", "", "", ...rest] : row(result.name, one, rest);
    }),
  ];
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  const table = rows.map((cells) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  return [
    `${corpus.sentences} sentences of ${corpus.length} words from ${corpus.vocabulary}; width ${width}, ${depth} blocks, ` +
      `${taught.steps} steps of ${taught.batch} rows of the flow and ${map.steps} of ${map.batch} of every flow map. Flow maps write in one step where nothing else is said.`,
    ...table,
    "Negative is the sum of a target's negative entries, a mean over random jumps in the end.",
    `Distance is the total variation from the corpus; as many samples of the corpus itself have ${flow.exact.noise.toFixed(3)}.`,
  ].join("\n");
}
