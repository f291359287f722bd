/** The page's side of the worker with TypeScript: started when it is first needed, and once. Consumed by session.ts and playground.tsx. */
import type { WorkerShape } from "@valtown/codemirror-ts/worker";
import { wrap } from "comlink";
import type { Remote } from "comlink";
import type { TypesWorker } from "./worker.ts";

let started: Remote<TypesWorker> | undefined;

/** TypeScript; what is asked of it waits until it is loaded. */
export function typeScript(): Remote<TypesWorker> {
  started ??= wrap<TypesWorker>(
    new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "types" }),
  );
  return started;
}

let types: Promise<WorkerShape> | undefined;

/** The same once it knows the types, as the editor asks it. */
export function loadTypes(): Promise<WorkerShape> {
  const worker = typeScript();
  types ??= worker.initialize().then(() => worker as unknown as WorkerShape); // with a method more
  return types;
}
