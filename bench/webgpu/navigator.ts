/**
 * WebGPU as libraries made for browsers look for it: classes and constants on `globalThis`, and `navigator.gpu`. Its adapter is the one
 * that Fluxion uses too, with accesses guarded, as other libraries expect.
 *
 * Consumed by the peers on webgpu. Both libraries keep what they find, so nothing is taken away again.
 */
import { globals } from "webgpu";
import { guardedDawnSource } from "../../src/runtime/webgpu/node.ts";

/** @param adapter part of the wanted adapter's name */
export function provideNavigator(adapter: string | undefined): void {
  for (const [name, value] of Object.entries(globals))
    if (!Object.hasOwn(globalThis, name))
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  // An adapter gives one device, so each library gets an adapter of its own. jax-js reads `userAgent`.
  const navigator = { userAgent: "Node", gpu: { requestAdapter: () => guardedDawnSource.find(adapter) } };
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true, writable: true });
}
