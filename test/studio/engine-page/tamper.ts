/**
 * Takes things away from a worker: "no-webgpu", "no-wasm", "no-opfs" in its name, and later what it is told by messages: "full" for a
 * storage without room, "roomy" for one with room again, "lose" for a GPU that is lost. Consumed by worker.ts.
 */
const devices: GPUDevice[] = [];

export function tamper(name: string): void {
  const without = name.split(" ");
  if (without.includes("no-webgpu")) Object.defineProperty(navigator, "gpu", { value: undefined });
  if (without.includes("no-wasm")) Object.defineProperty(globalThis, "WebAssembly", { value: undefined });
  if (without.includes("no-opfs")) Object.defineProperty(navigator, "storage", { value: undefined });
  if ("GPUAdapter" in globalThis) {
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = async function (...args) {
      const device = await requestDevice.apply(this, args);
      devices.push(device);
      return device;
    };
  }
  let full = false;
  const { write } = FileSystemSyncAccessHandle.prototype;
  FileSystemSyncAccessHandle.prototype.write = function (...args) {
    if (full) throw new DOMException("no room", "QuotaExceededError");
    return write.apply(this, args);
  };
  addEventListener("message", ({ data }) => {
    if (data === "full" || data === "roomy") full = data === "full";
    // Whichever it is that computes.
    if (data === "lose") for (const device of devices) device.destroy();
  });
}
