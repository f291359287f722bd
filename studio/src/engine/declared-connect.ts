/**
 * Starts the worker that runs a user's declaration. Consumed by declared.ts, which loads it, and TypeScript with it, when a declaration is to
 * run.
 */
import { proxy, wrap } from "comlink";
import { typeScript } from "../playground/types/client.ts";
import { codeBlob } from "../user-code/blob.ts";
import { sentenceOf } from "../user-code/problem.ts";
import type { AboutDeclaration, Broken } from "./declared-worker.ts";
// oxlint-disable-next-line import/default -- the export is Vite's: where the built worker lies
import workerUrl from "./declared-worker.ts?worker&url";
import type { Engine } from "./protocol.ts";

/** A worker with a declaration in it. */
export interface DeclaredWorker {
  readonly engine: Engine;
  end(): void;
}

/**
 * @param onBroken is called when something is thrown in the worker that no call would notice
 * @throws Error with the line of what TypeScript cannot read
 */
export async function startDeclared(
  { name, text }: { readonly name: string; readonly text: string },
  onBroken: (message: string) => void,
): Promise<DeclaredWorker> {
  const { code, mappings, problems } = await typeScript().transpile(text);
  const [problem] = problems;
  if (problem !== undefined) throw new Error(sentenceOf(problem, name));
  const about: AboutDeclaration = { file: name, mappings };
  const url = URL.createObjectURL(codeBlob(workerUrl, code, about));
  const worker = new Worker(url, { type: "module", name: "declaration" });
  worker.addEventListener("error", (event) => onBroken(event.message));
  worker.addEventListener("message", ({ data }: MessageEvent<Partial<Broken> | undefined>) => {
    // All else is Comlink's.
    if (typeof data?.broken === "string") onBroken(data.broken);
  });
  const remote = wrap<Engine>(worker);
  const open: Engine["open"] = (listener) => remote.open(proxy(listener));
  return {
    // A remote promises what the interface does; only a callback has to be wrapped, so that it stays here.
    engine: new Proxy(remote as unknown as Engine, {
      get: (target, name_) => (name_ === "open" ? open : Reflect.get(target, name_)),
    }),
    end() {
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}
