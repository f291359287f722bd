/**
 * Workers that the page's content-security policy holds for. A worker loaded from a file has the policy of that file's response, which
 * a plain static server does not send; one that begins as a blob has the policy of the page, so it reaches no other origin either.
 *
 * Consumed by engine/connect.ts and by whoever starts a worker. Give it the URL that `import url from "./worker.ts?worker&url"` has.
 */
export function confinedWorker(url: string, name: string): Worker {
  const script = `import ${JSON.stringify(new URL(url, document.baseURI).href)};`;
  const blob = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(blob, { type: "module", name });
  // The worker has fetched its script before it says anything; until then the URL must stand.
  worker.addEventListener("message", () => URL.revokeObjectURL(blob), { once: true });
  return worker;
}
