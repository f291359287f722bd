/** The example of docs/browser.md in a browser, where it finds WebGPU; in Node the tests run it on the interpreter. */
import { expect, it, vi } from "vitest";

it("runs on the GPU and prints what the page says", async () => {
  const { gpu } = (globalThis as unknown as { readonly navigator: { readonly gpu: GPU } }).navigator; // a browser's
  const asked = vi.spyOn(gpu, "requestAdapter");
  const log = vi.spyOn(console, "log").mockReturnValue();
  await import("../../examples/browser.ts");
  const printed = log.mock.calls.map((values) => values.join(" "));
  log.mockRestore();
  expect(printed).toEqual(["w = 2.00, -1.00"]);
  const adapter = await asked.mock.results[0]?.value;
  expect(adapter).toBeInstanceOf(GPUAdapter);
});
