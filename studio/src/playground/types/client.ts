/** The page's side of the worker with TypeScript: started when it is first needed, and once. Consumed by session.ts and playground.tsx. */
import type { WorkerShape } from "@valtown/codemirror-ts/worker";
import { wrap } from "comlink";
import type { Remote } from "comlink";
import { confinedWorker } from "../../engine/confined-worker.ts";
import type { TypesWorker } from "./worker.ts";
// oxlint-disable-next-line import/default -- the export is Vite's: where the built worker lies
import workerUrl from "./worker.ts?worker&url";

let started: Remote<TypesWorker> | undefined;

/** TypeScript; what is asked of it waits until it is loaded. */
export function typeScript(): Remote<TypesWorker> {
  started ??= wrap<TypesWorker>(confinedWorker(workerUrl, "types"));
  return started;
}

let types: Promise<WorkerShape> | undefined;

/** The same once it knows the types, as the editor asks it. */
export function loadTypes(): Promise<WorkerShape> {
  const worker = typeScript();
  types ??= worker
    .initialize()
    .then(() => worker as unknown as WorkerShape) // with a method more
    .catch((error: unknown) => {
      types = undefined; // the next view may ask again
      throw error;
    });
  return types;
}
