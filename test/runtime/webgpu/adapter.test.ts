/** Getting a WebGPU device: which adapter, with what switched on, and what is said when there is none. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { openGpu } from "../../../src/runtime/webgpu/gpu.ts";
import type { AdapterSource, OpenGpuOptions } from "../../../src/runtime/webgpu/gpu.ts";
import { dawnSource, openNodeGpu } from "../../../src/runtime/webgpu/node.ts";
import { dispatch, openTestGpu } from "../../support/webgpu.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** What WebGPU guarantees on every device. */
const MINIMUM = {
  maxBufferSize: 256 * 2 ** 20,
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
  maxUniformBufferBindingSize: 65536,
  minStorageBufferOffsetAlignment: 256,
  minUniformBufferOffsetAlignment: 256,
};

/** A kernel that reads from `count` buffers and writes their sum into the last. */
const sumOf = (count: number): string => `
${Array.from({ length: count }, (_, i) => `@group(0) @binding(${i}) var<storage, read_write> b${i}: array<f32>;`).join("\n")}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&b0)) { b${count - 1}[id.x] = ${Array.from({ length: count }, (_, i) => `b${i}[id.x]`).join(" + ")}; }
}`;
const ones = (count: number): readonly Float32Array[] =>
  Array.from({ length: count }, () => new Float32Array(4).fill(1));

describe("a device on the adapter of this machine", () => {
  it("runs a kernel with the right numbers, the last workgroup partly filled", async () => {
    const gpu = await openTestGpu();
    const [x, y] = [0, 1].map((k) => Float32Array.from({ length: 100 }, (_, i) => i / 8 + k)) as [Float32Array, Float32Array]; // prettier-ignore
    const [, sum] = await dispatch(gpu, { code: sumOf(2), buffers: [x, y], workgroups: 2 });
    expect([...new Float32Array(sum ?? new ArrayBuffer(0))]).toEqual([...x].map((v, i) => v + (y[i] ?? 0)));
  });

  it("has the minimum limits when asked, and holds kernels to them", async () => {
    const gpu = await openTestGpu();
    expect(gpu.limits).toEqual(MINIMUM);
    expect(gpu.describe()).toContain("minimum limits");
    const [last] = (await dispatch(gpu, { code: sumOf(8), buffers: ones(8), workgroups: 1 })).slice(-1);
    expect([...new Float32Array(last ?? new ArrayBuffer(0))]).toEqual([8, 8, 8, 8]);
    await expect(dispatch(gpu, { code: sumOf(9), buffers: ones(9), workgroups: 1 })).rejects.toThrow(
      /storage buffers.*exceeds.*8/,
    );
  });

  it("has all that the adapter offers otherwise", async () => {
    const adapter = await dawnSource.find(undefined);
    const gpu = await openTestGpu({ limits: "adapter" });
    for (const [limit, minimum] of Object.entries(MINIMUM)) {
      const name = limit as keyof typeof MINIMUM; // a key of it
      const offered = adapter.limits[name];
      expect(offered, limit).toBeDefined();
      // Alignments and the size of a dispatch stay at what is guaranteed.
      const raised = !/^min|PerDimension|Uniform/.test(limit);
      expect(gpu.limits[name], limit).toBe(raised ? offered : minimum);
      expect(gpu.device.limits[name], limit).toBe(gpu.limits[name]);
    }
    expect(gpu.describe()).not.toContain("minimum limits");
  });

  it("switches on the features that there are and no others", async () => {
    const adapter = await dawnSource.find(undefined);
    const wanted = ["shader-f16", "subgroups", "timestamp-query"].filter((name) =>
      adapter.features.has(name),
    );
    expect(wanted.length).toBeGreaterThan(0);
    const gpu = await openTestGpu();
    for (const name of wanted) expect([gpu.features.has(name), gpu.device.features.has(name)]).toEqual([true, true]); // prettier-ignore
    expect(gpu.features.has("float32-filterable")).toBe(false);
    expect(gpu.subgroups === undefined).toBe(!adapter.features.has("subgroups"));

    const plain = await openTestGpu({ features: [] });
    expect([plain.features.size, plain.device.features.has("subgroups"), plain.subgroups]).toEqual([0, false, undefined]); // prettier-ignore
    expect(plain.describe()).toContain("no f16, no subgroups");
  });

  it("keeps to synchronous pipelines in Node", async () => {
    expect((await openTestGpu()).asyncPipelines).toBe(false);
  });

  it("finds an adapter by a part of its name, whatever the case and punctuation", async () => {
    const { adapter } = await openTestGpu();
    const part = adapter.name.slice(0, 9).toUpperCase().replaceAll("-", " ");
    const gpu = await openNodeGpu({ adapter: part });
    expect(gpu.adapter).toEqual(adapter);
    gpu.device.destroy();
    await expect(openNodeGpu({ adapter: "Voodoo 2" })).rejects.toThrow(UserError);
    await expect(openNodeGpu({ adapter: "Voodoo 2" })).rejects.toThrow(
      /^No WebGPU adapter is named like "Voodoo 2"; there are .+\.$/,
    );
  });
});

/** An adapter that offers the minimum, and what the test says. */
function fakeAdapter(
  info: Partial<GPUAdapterInfo>,
  features: readonly string[] = [],
  refusal?: Error,
): GPUAdapter {
  const said = { vendor: "", architecture: "", device: "", description: "", ...info };
  const requestDevice = () =>
    refusal === undefined ? Promise.resolve({ limits: MINIMUM }) : Promise.reject(refusal);
  // As much of an adapter as is looked at.
  return { info: said, features: new Set(features), limits: MINIMUM, requestDevice } as unknown as GPUAdapter;
}
const openFake = (...of: Parameters<typeof fakeAdapter>) =>
  openGpu({}, { find: () => Promise.resolve(fakeAdapter(...of)) });

describe("the description of a device", () => {
  it("names hardware, and what is switched on", async () => {
    const gpu = await openFake(
      { vendor: "nvidia", architecture: "hopper", device: "nvidia-h100-80gb-hbm3", description: "570.1", subgroupMinSize: 32, subgroupMaxSize: 32 },
      ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"],
    ); // prettier-ignore
    expect(gpu.software).toBe(false);
    expect(gpu.describe()).toBe("nvidia-h100-80gb-hbm3 (570.1); f16, subgroups of 32, subgroup matrices");
  });

  it("lists the matrices of floats that subgroups multiply, and none where they are off", async () => {
    const config = (componentType: string, resultComponentType: string, M: number | bigint, N: number, K: number) =>
      ({ componentType, resultComponentType, M, N, K }); // prettier-ignore
    // Not in the types yet.
    const info = {
      subgroupMinSize: 32,
      subgroupMaxSize: 32,
      subgroupMatrixConfigs: [config("f16", "f32", 16n, 8, 4), config("u8", "u32", 16, 16, 16), config("f32", "f32", 8, 8, 8)],
    } as Partial<GPUAdapterInfo>; // prettier-ignore
    const features = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"];
    const [half, single] = [
      { rows: 16, columns: 8, inner: 4, element: "f16", accumulator: "f32" },
      { rows: 8, columns: 8, inner: 8, element: "f32", accumulator: "f32" },
    ];
    expect((await openFake(info, features)).matrices).toEqual([half, single]);
    expect((await openFake(info, features.slice(1))).matrices).toEqual([single]);
    expect((await openFake(info, features.slice(0, 2))).matrices).toEqual([]);
    expect((await openFake({ subgroupMinSize: 32, subgroupMaxSize: 32 }, features)).matrices).toEqual([]);
    const minimum = await openGpu({ limits: "minimum" }, { find: async () => fakeAdapter(info, features) });
    expect([minimum.matrices, [...minimum.features]]).toEqual([[], features.slice(0, 2)]);
  });

  it("gives a range of subgroup sizes, and the vendor where a browser hides the model", async () => {
    const gpu = await openFake(
      { vendor: "intel", architecture: "xe", subgroupMinSize: 8, subgroupMaxSize: 32 },
      ["subgroups"],
    );
    expect(gpu.describe()).toBe("intel xe; no f16, subgroups of 8 to 32");
  });

  it("says aloud that an adapter is software, also where only its name tells", async () => {
    for (const info of [
      { description: "some CPU", isFallbackAdapter: true },
      { vendor: "google", architecture: "swiftshader" },
      { vendor: "mesa", device: "llvmpipe-llvm-15-0-6-256-bits-" },
      { description: "Microsoft Basic Render Driver" },
    ]) {
      const gpu = await openFake(info);
      expect(gpu.software).toBe(true);
      expect(gpu.describe()).toContain(", a software adapter that computes on the CPU: right, but slow; ");
    }
  });

  it("turns a refusal into a sentence", async () => {
    await expect(openFake({ device: "x1" }, [], new Error("out of memory"))).rejects.toThrow(
      new UserError("The WebGPU adapter x1 refused a device: out of memory"),
    );
  });
});

describe("in a browser", () => {
  afterEach(() => vi.unstubAllGlobals());
  const withGpu = (gpu: unknown) => vi.stubGlobal("navigator", gpu === undefined ? {} : { gpu });

  it("asks for the fast adapter and opens it", async () => {
    const requestAdapter = vi.fn(() => Promise.resolve(fakeAdapter({ vendor: "apple", architecture: "m4" })));
    withGpu({ requestAdapter });
    expect((await openGpu({ adapter: "Apple" })).adapter.name).toBe("apple m4");
    expect(requestAdapter).toHaveBeenCalledWith({ powerPreference: "high-performance" });
    await expect(openGpu({ adapter: "nvidia" })).rejects.toThrow(
      'The browser offers one WebGPU adapter, apple m4; it is not named like "nvidia".',
    );
  });

  it("says when there is no WebGPU, and when there is no adapter", async () => {
    withGpu(undefined);
    await expect(openGpu()).rejects.toThrow(/^There is no WebGPU here\./);
    withGpu({ requestAdapter: () => Promise.resolve(null) });
    await expect(openGpu()).rejects.toThrow(/^The browser has WebGPU, but no adapter/);
  });
});

const NODE = "../../../src/runtime/webgpu/node.ts";
const SOFTWARE = "../../../src/runtime/webgpu/software.ts";
const VULKAN = "../../../src/runtime/webgpu/vulkan.ts";
beforeEach(() => vi.resetModules());
afterEach(() => [NODE, SOFTWARE, VULKAN, "webgpu"].forEach((path) => vi.doUnmock(path)));
/** Loads the module anew, with what the test put in place of others. */
const reopen = async (options: OpenGpuOptions = {}) =>
  ((await import(NODE)) as { openNodeGpu: typeof openNodeGpu }).openNodeGpu(options);

describe("in Node", () => {
  /** Dawn on a machine with these adapters, the best first, and what it was asked for. */
  function fakeDawn(devices: readonly string[]): readonly (readonly string[])[] {
    const asked: (readonly string[])[] = [];
    const create = (flags: readonly string[]) => ({
      requestAdapter: (options: GPURequestAdapterOptions) => {
        expect(options).toEqual({ powerPreference: "high-performance" });
        const wanted = flags.filter((flag) => flag.startsWith("adapter=")).map((flag) => flag.slice(8));
        asked.push(wanted);
        const found = devices.find((device) => wanted.every((name) => device.includes(name)));
        if (found === undefined && wanted.length > 0)
          return Promise.reject(
            new Error(devices.map((device) => `* backend: 'vulkan', name: '${device}'`).join("\n")),
          );
        return Promise.resolve(found === undefined ? null : fakeAdapter({ device: found }));
      },
    });
    vi.doMock("webgpu", () => ({ create, globals: {} }));
    return asked;
  }
  const softwareVulkan = vi.fn(() => Promise.resolve("There is no such package."));
  const loadVulkanLoader = vi.fn(() => true);
  beforeEach(() => {
    vi.clearAllMocks();
    vi.doMock(SOFTWARE, async (original) => ({ ...(await original<object>()), softwareVulkan }));
    vi.doMock(VULKAN, async (original) => ({ ...(await original<object>()), loadVulkanLoader }));
  });

  it("takes the best adapter, and does not unpack another", async () => {
    const asked = fakeDawn(["NVIDIA H100", "llvmpipe (LLVM 15)"]);
    expect((await reopen()).adapter.name).toBe("NVIDIA H100");
    expect((await reopen()).adapter.name).toBe("NVIDIA H100");
    expect(asked).toEqual([[], []]);
    expect(softwareVulkan).not.toHaveBeenCalled();
    expect(loadVulkanLoader.mock.calls.length).toBe(process.platform === "linux" ? 1 : 0);
  });

  it("takes another one by its name, as Dawn writes it", async () => {
    const asked = fakeDawn(["NVIDIA H100", "llvmpipe (LLVM 15)"]);
    expect((await reopen({ adapter: "LLVMPIPE-llvm" })).adapter.name).toBe("llvmpipe (LLVM 15)");
    expect(asked.at(-1)).toEqual(["llvmpipe (LLVM 15)"]);
    await expect(reopen({ adapter: "radeon" })).rejects.toThrow(
      'No WebGPU adapter is named like "radeon"; there are NVIDIA H100 and llvmpipe (LLVM 15).',
    );
  });

  describe("hardware alone", () => {
    const hardware = async (installed: boolean): Promise<GPUAdapter> => {
      vi.doMock(VULKAN, async (original) => ({
        ...(await original<object>()),
        loadVulkanLoader,
        chosenDrivers: () => undefined,
        hasInstalledDriver: () => installed,
      }));
      return ((await import(NODE)) as { hardwareSource: AdapterSource }).hardwareSource.find(undefined);
    };

    it("is the best adapter, unless that is software", async () => {
      const asked = fakeDawn(["NVIDIA H100", "llvmpipe (LLVM 15)"]);
      expect((await hardware(true)).info.device).toBe("NVIDIA H100");
      expect(asked).toEqual([[]]);
      vi.resetModules();
      fakeDawn(["llvmpipe (LLVM 15)"]);
      await expect(hardware(true)).rejects.toThrow("llvmpipe (LLVM 15) computes on the CPU.");
      vi.resetModules();
      fakeDawn([]);
      await expect(hardware(true)).rejects.toThrow("No WebGPU adapter was found.");
      expect(softwareVulkan).not.toHaveBeenCalled();
    });

    onLinux("is not looked for where no driver is installed", async () => {
      const asked = fakeDawn(["NVIDIA H100"]);
      await expect(hardware(false)).rejects.toThrow("No Vulkan driver is installed.");
      expect([asked, loadVulkanLoader.mock.calls, softwareVulkan.mock.calls]).toEqual([[], [], []]);
    });
  });

  it("says what there is to do when there is none", async () => {
    fakeDawn([]);
    await expect(reopen()).rejects.toThrow(/^No WebGPU adapter was found/);
    await expect(reopen()).rejects.toThrow(
      process.platform === "linux" ? /Install the Vulkan driver of your GPU; or/ : /install a current driver/,
    );
  });
});

describe("without an adapter", () => {
  it("asks for the package if that is missing", async () => {
    vi.doMock("webgpu", () => {
      throw new Error("no binary");
    });
    await expect(reopen()).rejects.toThrow(
      `The webgpu device needs the npm package webgpu with an engine for ${process.platform}-${process.arch}, and it did not load`,
    );
  });

  onLinux("says how to get one where there is no Vulkan at all", async () => {
    vi.doMock(VULKAN, async (original) => ({
      ...(await original<object>()),
      loadVulkanLoader: () => false,
    }));
    vi.doMock(SOFTWARE, async (original) => ({
      ...(await original<object>()),
      softwareVulkan: () => Promise.resolve("The package is not installed."),
    }));
    await expect(reopen()).rejects.toThrow(
      "There is no Vulkan on this machine. Install the Vulkan driver of your GPU; or, to compute on the CPU, Mesa 25 or newer " +
        "(apt install mesa-vulkan-drivers; on Debian 12 with -t bookworm-backports), or " +
        "npm install --save-dev @sparticuz/chromium@147.0.0. The package is not installed.",
    );
  });
});

/** A test of what is so on Linux only. */
function onLinux(name: string, test: () => Promise<void>): void {
  if (process.platform !== "linux") console.log(`Skipped, since it is about Linux: ${name}.`);
  it.skipIf(process.platform !== "linux")(name, test);
}
