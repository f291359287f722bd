/**
 * Work that outlives its device. A GPU's driver may be reset or updated at any time, and then the device is lost with all that it
 * held; whoever can begin again from what is on the host opens another one and goes on.
 *
 * Consumed by the training loop, whose state on the host is the run folder's, and by the command line. To make other work survive:
 * open its device as a `ReopenableDevice`, and do the work in `surviving`.
 */
import type { Device } from "./device.ts";
import { UserError } from "./files/errors.ts";
import { DeviceLostError } from "./webgpu/errors.ts";

/** Seconds from the end of a device to the next: a driver that was reset takes a moment. */
const PAUSE = 2;

/** So many losses in a row, with nothing achieved between them, are not bad luck. */
const TOO_MANY = 3;

/** A device with the way to open it again. */
export class ReopenableDevice {
  readonly #open: () => Promise<Device>;
  readonly #pause: number;
  #device: Device;

  private constructor(open: () => Promise<Device>, device: Device, pause: number) {
    this.#open = open;
    this.#device = device;
    this.#pause = pause;
  }

  /**
   * Opens the device.
   * @param open such as `() => openDevice("webgpu")`; called again when the device is lost
   * @param options `pause`: seconds to wait before that (default 2)
   * @throws UserError when it cannot be used here
   */
  static async open(
    open: () => Promise<Device>,
    { pause = PAUSE }: { readonly pause?: number } = {},
  ): Promise<ReopenableDevice> {
    return new ReopenableDevice(open, await open(), pause);
  }

  /** The device that is open now: another one after `reopen`. */
  get device(): Device {
    return this.#device;
  }

  /** Disposes of the device and opens another in its place. @throws UserError when there is none at the moment */
  async reopen(): Promise<void> {
    // Whatever a lost device has to say at its end helps nobody.
    await this.#device.dispose().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, this.#pause * 1000));
    this.#device = await this.#open();
  }

  dispose(): Promise<void> {
    return this.#device.dispose();
  }
}

/** Work on a device that can be begun again. */
export interface SurvivingWork<T> {
  /** The work, from wherever it can go on. After a loss it says so, for whoever waits. */
  readonly work: (device: Device, loss?: Loss) => Promise<T>;
  /** How much would outlive the device. Once it has grown, the next loss is the first in a row again. */
  readonly achieved: () => number;
  /** What is kept and what to do, for whoever reads that the device was lost again and again. */
  readonly remedy: string;
}

/** A loss that was survived, in words. */
export interface Loss {
  /** What the driver said. */
  readonly reason: string;
  /** What the work goes on on: "webgpu, opened again". */
  readonly device: string;
}

/**
 * Does work on a device, and again on another one whenever the device is lost. A device that cannot be reopened is used as it is.
 * @throws UserError when it was lost several times in a row or cannot be opened again; DeviceLostError when it is not reopenable
 */
export async function surviving<T>(
  given: Device | ReopenableDevice,
  { work, achieved, remedy }: SurvivingWork<T>,
): Promise<T> {
  if (!(given instanceof ReopenableDevice)) return work(given);
  const mourned = new Set<DeviceLostError>();
  let loss: Loss | undefined;
  for (let losses = 0, before = achieved(); ; before = achieved()) {
    const { device } = given;
    let lost: DeviceLostError;
    try {
      return await work(device, loss);
    } catch (error) {
      // A device has one error for all that comes after its loss. An old one is of a value or an executable that someone kept, and
      // another device would not help.
      if (!(error instanceof DeviceLostError) || mourned.has(error)) throw error;
      lost = error;
      mourned.add(lost);
    }
    losses = achieved() > before ? 1 : losses + 1;
    if (losses === TOO_MANY)
      throw new UserError(
        `The ${device.name} device was lost ${losses} times in a row, the last time with this reason: ${lost.detail}. ${remedy}`,
        { exitCode: 1, cause: lost },
      );
    await reopen(given, lost, remedy);
    loss = { reason: lost.detail, device: named(given.device, device) };
  }
}

/** Opens another device, if need be at the second or third try. @throws UserError when none can be opened */
async function reopen(given: ReopenableDevice, { detail }: DeviceLostError, remedy: string): Promise<void> {
  const { name } = given.device;
  for (let tries = 1; ; tries++) {
    try {
      return await given.reopen();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (tries === TOO_MANY)
        throw new UserError(
          `The ${name} device was lost (${detail}) and cannot be opened again: ${error.message} ${remedy}`,
          { exitCode: 1, cause: error },
        );
    }
  }
}

/** A device that was opened in place of another: what it is, if that is not the same. */
const named = (device: Device, before: Device): string =>
  device.describe() === before.describe()
    ? `${device.name}, opened again`
    : `${device.name}: ${device.describe()}`;
