/**
 * Errors of the WebGPU device that programs may want to tell from others. Consumed by the devices on a GPU, which throw them, and
 * exported by both entries of the package.
 */

/** The device is gone, with all that it held: the driver was reset or updated, or something destroyed it. */
export class DeviceLostError extends Error {
  /** "destroyed" when a call destroyed it. */
  readonly reason: "destroyed" | "unknown";
  /** What the driver says of it, without a full stop. */
  readonly detail: string;

  constructor(reason: "destroyed" | "unknown", message: string, device = "webgpu") {
    const said = message.trim().replace(/\.$/, "");
    const detail = said === "" ? reason : said;
    super(
      `The ${device} device was lost (${detail}): its values are gone. Open the device again and upload them from the host.`,
    );
    this.name = "DeviceLostError";
    this.reason = reason;
    this.detail = detail;
  }
}

/** The GPU had no memory for what some calls needed. Freeing some and doing it again may help. */
export class OutOfMemoryError extends Error {
  constructor(calls: string, message: string) {
    super(`webgpu: ${calls}: the GPU is out of memory${message === "" ? "." : `: ${message}`}`);
    this.name = "OutOfMemoryError";
  }
}
