/**
 * Cutting lines at the words that a small vocabulary lacks, so that the rest of them can still be learned
 * from.
 * Consumed by `prepare.ts`. With 2,000 words, a tenth of WordNet's definitions are covered whole; cutting
 * keeps three times as much text, in phrases that read as phrases.
 */

/** How often lines begin and end with a word, against how often it occurs at all. */
export interface EdgeCounts {
  readonly occurrences: ReadonlyMap<string, number>;
  readonly starts: ReadonlyMap<string, number>;
  readonly ends: ReadonlyMap<string, number>;
}

/** The counts of whole lines, that is, before any cut. */
export function countEdges(lines: Iterable<readonly string[]>): EdgeCounts {
  const occurrences = new Map<string, number>();
  const starts = new Map<string, number>();
  const ends = new Map<string, number>();
  const add = (counts: Map<string, number>, word: string | undefined): void => {
    if (word !== undefined) counts.set(word, (counts.get(word) ?? 0) + 1);
  };
  for (const line of lines) {
    for (const word of line) add(occurrences, word);
    add(starts, line[0]);
    add(ends, line.at(-1));
  }
  return { occurrences, starts, ends };
}

/**
 * The runs of known words of a line. At a cut, words that make no good edge go too ("a town in south of the"
 * becomes "a town in south"): those which begin, or end, a whole line in fewer than one of a hundred of their
 * occurrences. The line's own beginning and end stay as they are.
 */
export function cutLine(
  line: readonly string[],
  known: ReadonlySet<string>,
  edges: EdgeCounts,
): readonly (readonly string[])[] {
  const runs: (readonly string[])[] = [];
  let start = 0;
  for (let i = 0; i <= line.length; i++) {
    const word = line[i];
    if (word !== undefined && known.has(word)) continue;
    let from = start;
    let to = i;
    if (start > 0) while (from < to && isRare(edges.starts, edges.occurrences, line[from])) from++;
    if (i < line.length) while (to > from && isRare(edges.ends, edges.occurrences, line[to - 1])) to--;
    if (to > from) runs.push(line.slice(from, to));
    start = i + 1;
  }
  return runs;
}

function isRare(edge: EdgeCounts["starts"], occurrences: EdgeCounts["occurrences"], word = ""): boolean {
  return (edge.get(word) ?? 0) < 0.01 * (occurrences.get(word) ?? 0);
}
