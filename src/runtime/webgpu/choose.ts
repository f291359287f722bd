/**
 * The WebGPU device in Node, chosen with care. Who asks for `auto` gets hardware that passed its self-check, or none; who asks for
 * `webgpu` gets what there is, and is told what is wrong with it.
 *
 * Consumed by `devices.ts`. Node only.
 */
import { UserError } from "../files/errors.ts";
import { hasPassed, remember } from "./check-file.ts";
import { openWebGpu } from "./device.ts";
import type { WebGpuDevice } from "./device.ts";
import { isSoftware, messageOf, nameOf } from "./gpu.ts";
import type { AdapterSource, OpenGpuOptions } from "./gpu.ts";
import { dawnSource, hardwareSource } from "./node.ts";
import { failureOf, passed, selfCheck } from "./self-check.ts";
import type { CheckResult } from "./self-check.ts";
import { loadTuned } from "./tune-file.ts";
import { adapterKey } from "./tune-table.ts";

export interface ChooseOptions {
  /** Folder of what is remembered. Default: the user's cache folder. */
  readonly folder?: string | undefined;
  /** Gets a line on what the user should know. Default: standard error. */
  readonly warn?: (line: string) => void;
  /** A part of the wanted adapter's name. Default: the best. */
  readonly adapter?: string | undefined;
  /** All that the adapter offers, or what every adapter does: the least limits, and no features. Default "adapter". */
  readonly limits?: OpenGpuOptions["limits"];
  /** Where adapters come from. Default: Dawn. */
  readonly source?: AdapterSource;
}

/** What drivers say could steer the terminal. */
const toStderr = (line: string): void =>
  void process.stderr.write(`fluxion: ${line.replace(/\p{Cc}/gu, " ")}\n`);

/**
 * Opens it without a check, for whoever wants to know what there is.
 * @throws UserError when there is no adapter, or none of that name
 */
export const openUnchecked = async ({
  folder,
  adapter,
  limits = "adapter",
  source = dawnSource,
}: ChooseOptions = {}): Promise<WebGpuDevice> =>
  openWebGpu(
    // No adapter has to offer a feature. And ways to compute that were found with all of them may not be possible with the least.
    {
      limits,
      ...(limits === "adapter" ? { tuned: await loadTuned({ folder }) } : { features: [] }),
      ...(adapter === undefined ? {} : { adapter }),
    },
    source,
  );

/** Checks a device, and remembers whether it passed. @param options of the check; default: all of it */
export async function checkDevice(
  device: WebGpuDevice,
  { folder, stopAtFailure = false }: ChooseOptions & { readonly stopAtFailure?: boolean } = {},
): Promise<readonly CheckResult[]> {
  const { f16, gpu } = device.context;
  const matrices = gpu.matrices.length > 0;
  const results = await selfCheck(device, { f16, matrices, stopAtFailure });
  await remember(adapterKey(device.context.gpu.adapter), results.every(passed), { folder });
  return results;
}

/** What is wrong with an adapter, in a clause; undefined if nothing is, or nothing was when it was checked. */
async function problemOf(device: WebGpuDevice, options: ChooseOptions): Promise<string | undefined> {
  const key = adapterKey(device.context.gpu.adapter);
  if (await hasPassed(key, options)) return undefined;
  return failureOf(await checkDevice(device, { ...options, stopAtFailure: true }));
}

const ALL = "see fluxion devices --check";

/** Hardware that passed its check; undefined where there is none, and with a line where it did not pass. */
export async function openForAuto(options: ChooseOptions = {}): Promise<WebGpuDevice | undefined> {
  const { warn = toStderr, source = hardwareSource } = options;
  const leave = (what: string, reason: string): undefined => {
    warn(`${what} is left alone: ${reason.replace(/\.$/, "")}; computing on the CPU instead.`);
    return undefined;
  };
  let found: GPUAdapter;
  try {
    found = await source.find(undefined);
  } catch (error) {
    // No package, no driver, no adapter: most machines. Anything else should not keep the CPU from computing either.
    return error instanceof UserError ? undefined : leave("WebGPU", messageOf(error));
  }
  if (isSoftware(found)) return undefined;
  const gpu = `the GPU ${nameOf(found.info)}`;
  let device: WebGpuDevice;
  try {
    device = await openUnchecked({ ...options, source: { find: () => Promise.resolve(found) } });
  } catch (error) {
    return leave(gpu, messageOf(error));
  }
  const problem = await problemOf(device, options);
  if (problem === undefined) return device;
  await device.dispose();
  return leave(gpu, `${problem} (${ALL})`);
}

/**
 * What there is, hardware before software: `describe()` says which. What hardware did wrong in its check is a warning.
 * @throws UserError when there is no adapter
 */
export async function openAsked(options: ChooseOptions = {}): Promise<WebGpuDevice> {
  const { warn = toStderr } = options;
  const device = await openUnchecked(options);
  const { software, adapter } = device.context.gpu;
  const problem = software ? undefined : await problemOf(device, options);
  if (problem === undefined) return device;
  warn(`the GPU ${adapter.name} computes wrongly: ${problem}; results cannot be trusted (${ALL}).`);
  // What a check that broke off left behind, a lost device among it, is not what was asked for.
  await device.dispose();
  return openUnchecked(options);
}
