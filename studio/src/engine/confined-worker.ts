/**
 * Workers that the page's content-security policy holds for. A worker loaded from a file has the policy of that file's response, which
 * a plain static server does not send; one that begins as a blob has the policy of the page, so it reaches no other origin either.
 *
 * Consumed by engine/connect.ts and by whoever starts a worker: give it the URL that `import url from "./worker.ts?worker&url"` has. And by
 * the workers, which begin with `onlyConfined`.
 */
export function confinedWorker(url: string, name: string): Worker {
  const script = `import ${JSON.stringify(new URL(url, document.baseURI).href)};`;
  const blob = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(blob, { type: "module", name });
  // The worker has fetched its script before it says anything; until then the URL must stand.
  worker.addEventListener("message", () => URL.revokeObjectURL(blob), { once: true });
  return worker;
}

/**
 * Ends a worker that was not started so. Code in the playground can start the studio's workers from their files too, without any policy, and
 * have what Comlink exposes make functions of text there: along the path of whatever is exposed lies its constructor.
 * @throws Error in such a worker, which then exposes nothing
 */
export function onlyConfined(): void {
  if (location.protocol === "blob:") return;
  close();
  throw new Error("The studio's workers are started from blobs, so that the page's policy holds in them.");
}
