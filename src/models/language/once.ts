/** Values that are traced when they are first asked for, and then once. Consumed by the predictions of this folder. */

/** The function, called at most once. */
export function once<T>(f: () => T): () => T {
  let found: { readonly value: T } | undefined;
  return () => (found ??= { value: f() }).value;
}
