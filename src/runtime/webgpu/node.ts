/**
 * WebGPU in Node, by Dawn (npm `webgpu`, whose engine comes inside the package). Hardware is preferred; where there is none, a
 * software adapter from an npm package serves if it is installed. Nothing is put on `globalThis`.
 *
 * Consumed by the WebGPU device where it is opened in Node, and by tests.
 */
import { isMainThread } from "node:worker_threads";
import { UserError } from "../files/errors.ts";
import { isSoftware, matches, messageOf, namedLike, nameOf, openGpu } from "./gpu.ts";
import type { AdapterSource, Gpu, OpenGpuOptions } from "./gpu.ts";
import { INSTALL_SOFTWARE, softwareVulkan } from "./software.ts";
import { chosenDrivers, hasInstalledDriver, loadVulkanLoader, withDriver } from "./vulkan.ts";

type Dawn = typeof import("webgpu");

/** What Dawn is told where kernels are our own. Browsers decide these for themselves. */
const FLAGS = [
  `enable-dawn-features=${[
    "vulkan_enable_f16_on_nvidia", // off by default because of old drivers
    "allow_unsafe_apis", // experimental features, such as subgroup matrices
    "use_vulkan_memory_model", // subgroup matrices need it on Vulkan; without effect where the driver lacks it
    // Clearing workgroup memory makes software adapters compile up to ten times longer. No kernel reads what it has not written:
    // the evaluator of the kernel IR, under which all are tested, refuses that.
    "disable_workgroup_init",
    // Nor does any reach beyond what it has, and the evaluator refuses that too. Guarding every access again takes a training step on
    // an NVIDIA H200 a quarter more time, because loads that are guarded one by one are not merged.
    "disable_robustness",
  ].join(",")}`,
  "disable-dawn-features=timestamp_quantization", // timings to the nanosecond instead of 0.1 ms
];

/** Whose kernels run: others' are guarded as in a browser, since nobody has proven that they need no guards. */
type Kernels = "ours" | "others";

/** Opens a WebGPU device in Node. @throws UserError when there is no adapter, none of that name, or it refuses a device */
export const openNodeGpu = (options: OpenGpuOptions = {}): Promise<Gpu> => openGpu(options, dawnSource);

const sourceFor = (kernels: Kernels): AdapterSource => ({
  async find(name) {
    const dawn = await loadDawn();
    const drivers = chosenDrivers();
    const names: string[] = [];
    /** What there is to say about the software adapter, if it was of no use. */
    let software = "";

    const loader =
      process.platform === "linux" ? await (vulkanLoader ??= findVulkanLoader()) : "the system's";
    // With the package's loader it is known where drivers would be; Dawn complains at length when there are none.
    if (loader === "the system's" || drivers !== undefined || hasInstalledDriver()) {
      const found = await choose(dawn, kernels, name, names);
      if (found !== undefined) return found;
    }
    if (process.platform === "linux" && drivers === undefined) {
      const unpacked = await softwareVulkan();
      if (typeof unpacked === "string") software = unpacked;
      else {
        const found = await choose(dawn, kernels, name, names, unpacked.driver);
        if (found !== undefined) return found;
        if (!isMainThread)
          software = `In a worker thread its driver cannot be chosen; start the process with VK_ICD_FILENAMES=${unpacked.driver}.`;
      }
    }
    if (names.length > 0)
      throw new UserError(`No WebGPU adapter is named like "${name}"; there are ${names.join(" and ")}.`);
    throw noAdapter(
      drivers === undefined
        ? "No WebGPU adapter was found"
        : `No WebGPU adapter was found with ${drivers}, which hides all other drivers`,
      software,
    );
  },
});

/** Adapters for kernels of our own. */
export const dawnSource: AdapterSource = sourceFor("ours");

/** Adapters for kernels of other libraries. */
export const guardedDawnSource: AdapterSource = sourceFor("others");

/**
 * Hardware alone: for whoever did not ask for a GPU, and has better ways to compute on the CPU than a software adapter. Where no driver
 * is installed, nothing is loaded or unpacked to find that out.
 */
export const hardwareSource: AdapterSource = {
  async find(name) {
    if (process.platform === "linux") {
      if (chosenDrivers() === undefined && !hasInstalledDriver())
        throw new UserError("No Vulkan driver is installed.");
      await (vulkanLoader ??= findVulkanLoader());
    }
    const names: string[] = [];
    const found = await choose(await loadDawn(), "ours", name, names);
    if (found === undefined) throw new UserError("No WebGPU adapter was found.");
    if (isSoftware(found)) throw new UserError(`${nameOf(found.info)} computes on the CPU.`);
    return found;
  },
};

/** Found once: a loader that was loaded from the package would be taken for the system's the next time. */
let vulkanLoader: Promise<"the system's" | "the package's"> | undefined;

async function findVulkanLoader(): Promise<"the system's" | "the package's"> {
  if (loadVulkanLoader()) return "the system's";
  const unpacked = await softwareVulkan();
  if (typeof unpacked === "string") throw noAdapter("There is no Vulkan on this machine", unpacked);
  loadVulkanLoader(unpacked.loader);
  return "the package's";
}

/** What to do about a missing adapter. */
function noAdapter(what: string, software: string): UserError {
  if (process.platform !== "linux") return new UserError(`${what}: install a current driver of your GPU.`);
  return new UserError(
    `${what}. Install the Vulkan driver of your GPU; or, to compute on the CPU, Mesa 25 or newer ` +
      `(apt install mesa-vulkan-drivers; on Debian 12 with -t bookworm-backports), or ${INSTALL_SOFTWARE}.` +
      (software === "" ? "" : ` ${software}`),
  );
}

async function loadDawn(): Promise<Dawn> {
  try {
    return await import("webgpu");
  } catch (error) {
    throw new UserError(
      `The webgpu device needs the npm package webgpu with an engine for ${process.platform}-${process.arch}, and it did not ` +
        `load (${messageOf(error).split("\n")[0]}); install it, or use the device "cpu".`,
      { cause: error },
    );
  }
}

/** Dawn's instances, kept for the life of the process: it ends badly when one is collected while its devices are in use. */
const instances = new Map<string, GPU>();

/** An adapter from Dawn. The driver, if given, is the only one that Dawn sees. */
function request(
  dawn: Dawn,
  kernels: Kernels,
  driver: string | undefined,
  more: readonly string[],
): Promise<GPUAdapter | null> {
  const flags = [...(kernels === "ours" ? FLAGS : []), ...more];
  const key = [driver, ...flags].join("\n");
  let gpu = instances.get(key);
  if (gpu === undefined) {
    gpu = dawn.create(flags);
    instances.set(key, gpu);
  }
  const instance = gpu;
  // Drivers are looked up within this call, before the promise is there; so the setting need not last.
  const call = (): Promise<GPUAdapter | null> =>
    instance.requestAdapter({ powerPreference: "high-performance" });
  return driver === undefined ? call() : withDriver(driver, call);
}

/** The best adapter, or the best of that name; or undefined, with the names of those that there are added to `names`. */
async function choose(
  dawn: Dawn,
  kernels: Kernels,
  name: string | undefined,
  names: string[],
  driver?: string,
): Promise<GPUAdapter | undefined> {
  const best = await request(dawn, kernels, driver, []);
  if (best === null) return undefined;
  if (name === undefined || matches(best, name)) return best;
  // Dawn has no list of adapters. But it names them when it is asked for one that is not there.
  const answer = await request(dawn, kernels, driver, ["adapter=\u0001"]).then(() => "", messageOf);
  const all = [...answer.matchAll(/name: '(.*)'/g)].map(([, found]) => found ?? "");
  const wanted = all.find((found) => namedLike([found], name));
  if (wanted !== undefined) return (await request(dawn, kernels, driver, [`adapter=${wanted}`])) ?? undefined;
  names.push(...(all.length > 0 ? all : [nameOf(best.info)]));
  return undefined;
}
