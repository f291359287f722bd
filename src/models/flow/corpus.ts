/**
 * Finite corpora, on which flows and processes are known exactly, and the one check of them. Consumed by the oracles of flows, of flows on the
 * sphere and of discrete processes.
 */
export interface Corpus {
  readonly vocab: number;
  /** Sequences of one length. */
  readonly sequences: readonly (readonly number[])[];
  /** How probable every sequence is, next to the others: positive numbers; equal by default. */
  readonly weights?: readonly number[];
}

/**
 * @returns the length of the sequences
 * @throws RangeError when there is none, sequences differ in length or hold what is no token, or weights are not one positive number for each
 */
export function checkCorpus({
  vocab,
  sequences,
  weights,
}: Omit<Corpus, "weights"> & { readonly weights: Corpus["weights"] }): number {
  const length = sequences[0]?.length ?? 0;
  if (length === 0) throw new RangeError("A corpus has at least one sequence of at least one token.");
  sequences.forEach((sequence, k) => {
    if (sequence.length !== length)
      throw new RangeError(
        `The sequences of a corpus have one length: sequence ${k} has ${sequence.length} tokens, the first has ${length}.`,
      );
    const strange = sequence.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab));
    if (strange !== undefined)
      throw new RangeError(`Sequence ${k} holds ${strange}, which is no token of a vocabulary of ${vocab}.`);
  });
  if (weights === undefined) return length;
  if (weights.length !== sequences.length || !weights.every((w) => w > 0 && Number.isFinite(w)))
    throw new RangeError(
      `The weights of a corpus are one positive number for each of the ${sequences.length} sequences, got ${weights.join(", ")}.`,
    );
  return length;
}
