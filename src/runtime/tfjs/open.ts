/**
 * Opens a device on TensorFlow.js. Consumed by `devices.ts`, `dawn.ts` and the entry `fluxion/tfjs`. Safe in a browser.
 */
import type { Target } from "../../compiler/tfjs/plan.ts";
import { TARGETS, withoutFusion } from "../../compiler/tfjs/targets.ts";
import { UserError } from "../files/errors.ts";
import { BACKEND_NAMES, loadBackend } from "./engine.ts";
import type { Host, Loaded, PageBackendName, TfjsOptions } from "./engine.ts";
import { examine } from "./examine.ts";
import { TfjsDevice } from "./tfjs-device.ts";

/** What was found out about the backends of this page. */
const known = new Map<PageBackendName, Promise<Target>>();

/** What the backend is not asked for. Those on a GPU are examined first, once in a page. */
function targetOf(loaded: Loaded, backend: PageBackendName): Promise<Target> {
  const target: Target = TARGETS[backend];
  if (loaded.asynchronous !== true) return Promise.resolve(target);
  const before = known.get(backend);
  if (before !== undefined) return before;
  const found = examine(new TfjsDevice(loaded, backend, target), target);
  known.set(backend, found);
  found.catch(() => known.delete(backend));
  return found;
}

/**
 * Opens the device `tfjs:<backend>`. TensorFlow.js and the backend's package are loaded now, unless they are there. "webgl" and "webgpu"
 * compute a few small programs first, and what they get wrong is computed on the host from then on.
 * @param backend "cpu" or "wasm" anywhere, "webgl" or "webgpu" in a browser; "webgpu" in Node is the device of that name
 * @throws UserError when there is no such backend, a package is missing, or the backend does not start or is wrong in what matters
 */
export async function openTfjs(backend: PageBackendName, options: TfjsOptions = {}): Promise<TfjsDevice> {
  if (!BACKEND_NAMES.includes(backend))
    throw new UserError(
      `There is no backend "${backend}" of TensorFlow.js; choose one of ${BACKEND_NAMES.join(", ")}.`,
    );
  return openOn(backend, options);
}

/** The same where a backend may not find by itself what it runs on. */
export async function openOn(
  backend: PageBackendName,
  options: TfjsOptions,
  host?: Host,
): Promise<TfjsDevice> {
  const loaded = await loadBackend(backend, options, host);
  const target = await targetOf(loaded, backend);
  return new TfjsDevice(loaded, backend, options.fusion === false ? withoutFusion(target) : target);
}
