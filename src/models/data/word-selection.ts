/**
 * Which words make a vocabulary of a given size: the most frequent ones, or the ones that keep most whole
 * lines.
 * Consumed by `prepare.ts`. To add a choice, write a function of the same shape, and a policy there that uses
 * it.
 */

/**
 * The `size` most frequent words, most frequent first; ties in alphabetical order, so that the order of the
 * documents does not matter. Fewer if the text has fewer.
 */
export function frequentWords(lines: Iterable<readonly string[]>, size: number): readonly string[] {
  return byFrequency(countWords(lines))
    .slice(0, size)
    .map(([word]) => word);
}

/**
 * At most `size` words chosen so that many lines consist of nothing else. Frequent words alone are a poor
 * choice for that: "genus" is frequent, but nearly always beside a word that is not. So the word with the
 * fewest lines is dropped together with those lines, the other words of those lines lose a line each, and so
 * on until `size` words remain: the greedy peeling used for densest subgraphs. Time linear in the text (a
 * bucket queue).
 *
 * @returns the words, most frequent first (counted over the lines that are kept), ties in alphabetical order
 */
export function closedWords(lines: readonly (readonly string[])[], size: number): readonly string[] {
  // Alphabetical numbering makes ties independent of the order of the documents.
  const words = [...countWords(lines).keys()].sort();
  const idOf = new Map(words.map((word, id) => [word, id]));
  const idsOf = lines.map((line) => [...new Set(line)].map((word) => idOf.get(word) ?? 0));
  const linesOf: number[][] = words.map(() => []);
  idsOf.forEach((ids, line) => ids.forEach((id) => linesOf[id]?.push(line)));

  const alive = new Uint8Array(lines.length).fill(1);
  const left = Int32Array.from(linesOf, (list) => list.length);
  const buckets: number[][] = [];
  const put = (id: number): void => {
    (buckets[left[id] ?? 0] ??= []).push(id);
  };
  words.forEach((_, id) => put(id));

  const dropped = new Uint8Array(words.length);
  let remaining = words.length;
  for (let fewest = 0; remaining > size;) {
    const id = buckets[fewest]?.pop();
    if (id === undefined) {
      fewest++;
      continue;
    }
    if (dropped[id] === 1 || left[id] !== fewest) continue; // an entry from before its count fell
    dropped[id] = 1;
    remaining--;
    const lowered = new Set<number>();
    for (const line of linesOf[id] ?? []) {
      if (alive[line] === 0) continue;
      alive[line] = 0;
      for (const other of idsOf[line] ?? []) {
        left[other] = (left[other] ?? 0) - 1;
        if (dropped[other] === 0) lowered.add(other);
      }
    }
    for (const other of [...lowered].sort((a, b) => a - b)) {
      put(other);
      fewest = Math.min(fewest, left[other] ?? 0);
    }
  }
  return frequentWords(
    lines.filter((_, line) => alive[line] === 1),
    size,
  );
}

function countWords(lines: Iterable<readonly string[]>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) for (const word of line) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** Code-unit order for ties, because a locale's order would differ between machines. */
function byFrequency(counts: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : a > b ? 1 : 0));
}
