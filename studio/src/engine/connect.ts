/** Starts the engine's worker. Consumed by page/main.tsx. Builds for tests put another worker in its place (the alias `studio-engine`). */
import { proxy, wrap } from "comlink";
import workerUrl from "studio-engine?worker&url";
import { confinedWorker } from "./confined-worker.ts";
import type { Engine } from "./protocol.ts";

/** @param onBroken is called when the worker itself breaks, which no call would notice */
export function connect(onBroken: (message: string) => void): Engine {
  const worker = confinedWorker(workerUrl, "engine");
  worker.addEventListener("error", (event) => onBroken(event.message));
  const engine = wrap<Engine>(worker);
  const open: Engine["open"] = (listener) => engine.open(proxy(listener));
  // A remote promises what the interface does; only a callback has to be wrapped, so that it stays here.
  return new Proxy(engine as unknown as Engine, {
    get: (remote, name) => (name === "open" ? open : Reflect.get(remote, name)),
  });
}
