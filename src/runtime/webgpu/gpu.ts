/**
 * A WebGPU device, ready for use: chosen, with its features and limits on, and described. Safe in a browser, where adapters come
 * from `navigator.gpu`; in Node they come from Dawn, which `node.ts` passes in as the source.
 *
 * Consumed by the WebGPU device and by tests. To use another feature of WebGPU where it is there, add it to `WANTED_FEATURES`;
 * to use more than the guaranteed minimum of a limit, add it to `RAISED_LIMITS`.
 */
import type { MatrixShape } from "../../compiler/kernel/plan.ts";
import { UserError } from "../files/errors.ts";

/** Not standard yet, and so not in the types; Dawn lists it where the hardware has matrix units. */
const SUBGROUP_MATRIX = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

/** Switched on where the adapter has them: kernels have to do without any of them. */
const WANTED_FEATURES = [
  "shader-f16",
  "subgroups",
  "timestamp-query",
  SUBGROUP_MATRIX,
] as const satisfies readonly GPUFeatureName[];

/** Limits that matter to compute kernels and are asked for as high as the adapter offers them. */
const RAISED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
] as const;

/** Limits that stay at their guaranteed minimum, and that plans have to know all the same. */
const FIXED_LIMITS = [
  "maxComputeWorkgroupsPerDimension",
  "maxUniformBufferBindingSize",
  "minStorageBufferOffsetAlignment",
  "minUniformBufferOffsetAlignment",
] as const;

type LimitName = (typeof RAISED_LIMITS)[number] | (typeof FIXED_LIMITS)[number];
/** The device's limits as plain numbers. */
export type GpuLimits = Readonly<Record<LimitName, number>>;

export interface OpenGpuOptions {
  /** A part of the wanted adapter's name, in any case: "nvidia", "swiftshader". */
  readonly adapter?: string;
  /**
   * All that the adapter offers, or only what WebGPU guarantees everywhere, and then no features that are no part of it yet. Default
   * "adapter".
   */
  readonly limits?: "adapter" | "minimum";
  /** The features to switch on where the adapter has them. By default all that the runtime can use. */
  readonly features?: readonly GPUFeatureName[];
}

/** Where adapters come from. */
export interface AdapterSource {
  /**
   * The best adapter, or the best whose name has `name` in it: hardware before software, fast before frugal.
   * @throws UserError when there is none, saying how to get one
   */
  find(name: string | undefined): Promise<GPUAdapter>;
}

/** An open WebGPU device with what one has to know to write kernels for it. */
export interface Gpu {
  readonly device: GPUDevice;
  readonly adapter: {
    /** The most telling of what the adapter says of itself; browsers say little. */
    readonly name: string;
    readonly vendor: string;
    readonly architecture: string;
  };
  /** Whether the adapter computes on the CPU. Such a one is right, and slow; {@link describe} says so. */
  readonly software: boolean;
  /** The features that are switched on. */
  readonly features: ReadonlySet<string>;
  readonly limits: GpuLimits;
  /** Smallest and largest number of invocations in a subgroup, where subgroups are on. */
  readonly subgroups: { readonly min: number; readonly max: number } | undefined;
  /** What a subgroup multiplies as matrices, where that is on; none otherwise. */
  readonly matrices: readonly MatrixShape[];
  /**
   * Whether `createComputePipelineAsync` may be used. Not in Node: there it ends the process at times, as seen with Mesa's
   * software adapter.
   */
  readonly asyncPipelines: boolean;
  /** One line on the adapter and what is switched on. */
  describe(): string;
}

/** Adapters of a browser, or of any other runtime that has `navigator.gpu`. */
const browser: AdapterSource = {
  async find(name) {
    // There is no `navigator` in Node 20, and no `gpu` in some browsers.
    const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: GPU } };
    if (navigator?.gpu === undefined)
      throw new UserError(
        "There is no WebGPU here. Use a browser that has it, on a page from https or localhost; in Node, open the device from fluxion/node.",
      );
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
    if (adapter === null)
      throw new UserError(
        "The browser has WebGPU, but no adapter for it: its graphics acceleration is off, or it does not trust the driver.",
      );
    if (name !== undefined && !matches(adapter, name))
      throw new UserError(
        `The browser offers one WebGPU adapter, ${nameOf(adapter.info)}; it is not named like "${name}".`,
      );
    return adapter;
  },
};

/**
 * Opens a WebGPU device.
 * @throws UserError when there is no adapter, none of that name, or the adapter refuses a device
 */
export async function openGpu(options: OpenGpuOptions = {}, source: AdapterSource = browser): Promise<Gpu> {
  const adapter = await source.find(options.adapter);
  const name = nameOf(adapter.info);
  const wanted: readonly GPUFeatureName[] =
    options.features ??
    (options.limits === "minimum"
      ? WANTED_FEATURES.filter((name) => name !== SUBGROUP_MATRIX)
      : WANTED_FEATURES);
  const requiredFeatures = wanted.filter((feature) => adapter.features.has(feature));
  const requiredLimits =
    options.limits === "minimum"
      ? {}
      : Object.fromEntries(RAISED_LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const device = await adapter
    .requestDevice({ label: "fluxion", requiredFeatures, requiredLimits })
    .catch((error: unknown) => {
      throw new UserError(`The WebGPU adapter ${name} refused a device: ${messageOf(error)}`, {
        cause: error,
      });
    });

  const features: ReadonlySet<string> = new Set(requiredFeatures);
  const limits = Object.fromEntries(
    [...RAISED_LIMITS, ...FIXED_LIMITS].map((limit) => [limit, device.limits[limit]]),
  ) as GpuLimits; // the names are LimitName's own
  const { subgroupMinSize, subgroupMaxSize, vendor, architecture } = adapter.info;
  const subgroups =
    features.has("subgroups") && subgroupMinSize !== undefined && subgroupMaxSize !== undefined
      ? { min: subgroupMinSize, max: subgroupMaxSize }
      : undefined;
  const software = isSoftware(adapter);
  return {
    device,
    adapter: { name, vendor, architecture },
    software,
    features,
    limits,
    subgroups,
    matrices:
      subgroups !== undefined && features.has(SUBGROUP_MATRIX) ? matricesOf(adapter.info, features) : [],
    asyncPipelines: !inNode(),
    describe: () => {
      const parts = [
        features.has("shader-f16") ? "f16" : "no f16",
        subgroups === undefined
          ? "no subgroups"
          : `subgroups of ${subgroups.min === subgroups.max ? subgroups.min : `${subgroups.min} to ${subgroups.max}`}`,
        ...(features.has(SUBGROUP_MATRIX) ? ["subgroup matrices"] : []),
        ...(options.limits === "minimum" ? ["minimum limits"] : []),
      ];
      const kind = software ? ", a software adapter that computes on the CPU: right, but slow" : "";
      return `${name}${kind}; ${parts.join(", ")}`;
    },
  };
}

/** As Dawn lists it; the standard's draft does so too. Not in the types yet. */
interface SubgroupMatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  /** Rows of the left operand, columns of the right one, and what both have in common. */
  readonly M: number | bigint;
  readonly N: number | bigint;
  readonly K: number | bigint;
}

/** The shapes of floats among those that an adapter lists. */
function matricesOf(info: GPUAdapterInfo, features: ReadonlySet<string>): readonly MatrixShape[] {
  const { subgroupMatrixConfigs = [] } = info as {
    readonly subgroupMatrixConfigs?: Iterable<SubgroupMatrixConfig>;
  };
  const isFloat = (type: string): type is "f16" | "f32" =>
    type === "f32" || (type === "f16" && features.has("shader-f16"));
  return [...subgroupMatrixConfigs].flatMap(
    ({ componentType: element, resultComponentType: accumulator, M, N, K }) =>
      isFloat(element) && isFloat(accumulator)
        ? [{ rows: Number(M), columns: Number(N), inner: Number(K), element, accumulator }]
        : [],
  );
}

/** What adapters say of themselves, for people. */
export function nameOf({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  // Adapters that say all of it end names in what was punctuation: "swiftshader-device-subzero-".
  const model = device.replace(/-+$/, "");
  const family = [vendor, architecture].filter((part) => part !== "").join(" ");
  const main = model === "" ? family : model;
  if (main === "") return description === "" ? "an adapter without a name" : description;
  return description === "" ? main : `${main} (${description})`;
}

/** Lower case with one dash for what is neither letter nor digit: how adapters write their names, and how they are compared. */
const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");

/** Whether one of the texts has `name` in it, whatever its case and punctuation. */
export const namedLike = (texts: readonly string[], name: string): boolean =>
  texts.some((text) => plain(text).includes(plain(name)));

/** Whether an adapter has `name` in one of its names. */
export const matches = ({ info }: GPUAdapter, name: string): boolean =>
  namedLike([info.vendor, info.architecture, info.device, info.description], name);

/** Whether an adapter computes on the CPU. Not every implementation says so, so well-known names count too. */
export function isSoftware(adapter: GPUAdapter): boolean {
  // Where the flag was before it became a part of `info`.
  const { isFallbackAdapter } = adapter as { readonly isFallbackAdapter?: boolean };
  return (
    adapter.info.isFallbackAdapter ||
    isFallbackAdapter === true ||
    ["swiftshader", "llvmpipe", "lavapipe", "basic render"].some((name) => matches(adapter, name))
  );
}

/** Whether this is Node, or a runtime that says it is. */
function inNode(): boolean {
  const { process } = globalThis as { readonly process?: { readonly versions?: { readonly node?: string } } };
  return process?.versions?.node !== undefined;
}

/** The text of what was thrown: not every implementation throws errors. */
export const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).trim();
