/** Which adapter `auto` takes, and what is said of the others; the self-check, and what is remembered of it. */
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hostTensor } from "../../../src/compiler/host-tensor.ts";
import { fn, f32, trace } from "../../../src/dsl/fn.ts";
import { add } from "../../../src/dsl/index.ts";
import { checkText } from "../../../src/cli/commands/devices.ts";
import type { Device } from "../../../src/runtime/device.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { checkFile, hasPassed, remember } from "../../../src/runtime/webgpu/check-file.ts";
import { checkDevice, openAsked, openForAuto } from "../../../src/runtime/webgpu/choose.ts";
import type { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { dawnSource } from "../../../src/runtime/webgpu/node.ts";
import { failureOf, passed, selfCheck } from "../../../src/runtime/webgpu/self-check.ts";
import { VERSION } from "../../../src/runtime/version.ts";
import { runOn } from "../../support/on-device.ts";
import { pretendedGpu, WRONG_EXP } from "../../support/pretended-gpu.ts";
import { scratchFolder } from "../files/scratch.ts";

const ACME = "acme/a1/acme-9000 (driver 1)";
let folder = "";
const warned: string[] = [];
const warn = (line: string): void => void warned.push(line);
beforeEach(async () => {
  folder = await scratchFolder();
  warned.length = 0;
});

const sum = trace(fn({ x: f32(3) }, ({ x }) => add(x, x))).program;
const works = async (device: Device): Promise<void> => {
  const [y] = await runOn(device, sum, [hostTensor("f32", [3], [1, 2, 3])]);
  expect([...(y?.data ?? [])]).toEqual([2, 4, 6]);
  await device.dispose();
};

describe("hardware that computes rightly", () => {
  it("is taken for auto once it passed its check, which is remembered", async () => {
    const source = pretendedGpu();
    const first = await openForAuto({ folder, warn, source });
    expect(first?.describe()).toContain("acme-9000 (driver 1)");
    await works(first as Device);
    const checked = source.compiled();
    expect(checked).toBeGreaterThan(8);
    expect(JSON.parse(await readFile(checkFile({ folder }), "utf8"))).toEqual([
      `${VERSION} acme/a1/acme-9000 (driver 1)`,
    ]);
    expect((await readdir(folder)).filter((name) => name.endsWith(".partial"))).toEqual([]);

    // The second time there is one kernel to compile, that of the program; as the device says of itself.
    for (const open of [openForAuto, openAsked]) {
      const before = source.compiled();
      await works((await open({ folder, warn, source })) as Device);
      expect(source.compiled()).toBe(before + 1);
    }
    expect(warned).toEqual([]);
    // Another driver is another adapter.
    const updated = pretendedGpu(WRONG_EXP, { vendor: "acme", architecture: "a1", device: "acme-9000", description: "driver 2" }); // prettier-ignore
    expect(await openForAuto({ folder, warn, source: updated })).toBeUndefined();
  });
});

describe("hardware that lies", () => {
  it("is left alone by auto, with one sentence that names what was wrong; and is checked again", async () => {
    for (let times = 1; times <= 2; times++) {
      const source = pretendedGpu(WRONG_EXP);
      expect(await openForAuto({ folder, warn, source })).toBeUndefined();
      expect(warned.length).toBe(times);
      expect(source.compiled()).toBeGreaterThan(0);
    }
    expect(warned[0]).toMatch(
      /^the GPU acme-9000 \(driver 1\) is left alone: its softmax of rows is off by 0\.\d+ \(see fluxion devices --check\); computing on the CPU instead\.$/,
    );
  });

  it("is used by who asks for it, after a warning", async () => {
    const device = await openAsked({ folder, warn, source: pretendedGpu(WRONG_EXP) });
    expect(warned).toEqual([
      expect.stringMatching(
        /^the GPU acme-9000 \(driver 1\) computes wrongly: its softmax of rows is off by /,
      ),
    ]);
    await works(device);
  });

  it("loses a pass that it had when it is found out", async () => {
    await remember(ACME, true, { folder, version: "0.0.9" });
    await remember(ACME, true, { folder });
    const options = { folder, warn, source: pretendedGpu(WRONG_EXP) };
    const trusted = (await openForAuto(options)) as WebGpuDevice;
    expect(trusted.name).toBe("webgpu");
    const results = await checkDevice(trusted, { folder, stopAtFailure: true });
    expect(results.map(passed)).toEqual([true, false]);
    await trusted.dispose();
    expect(await openForAuto(options)).toBeUndefined();
    // What another version found out is its own.
    expect(await hasPassed(ACME, { folder, version: "0.0.9" })).toBe(true);
  });

  it("is found out where it only goes wrong in place", async () => {
    const device = (await openAsked({ folder, warn, source: pretendedGpu() })) as WebGpuDevice;
    const twice: Device = {
      name: device.name,
      describe: () => device.describe(),
      upload: (tensor) => device.upload(tensor),
      dispose: () => device.dispose(),
      compile: async (program, options) => {
        const right = await device.compile(program, options);
        const kept = options?.donate?.length ?? 0;
        if (kept === 0) return right;
        const run: typeof right.run = async (inputs) =>
          right.run([...(await right.run(inputs)).slice(0, kept), ...inputs.slice(kept)]);
        return Object.assign(Object.create(right) as typeof right, { run, dispose: () => right.dispose() });
      },
    };
    const results = await selfCheck(twice, { f16: false });
    expect(results.filter((result) => !passed(result)).map(({ name }) => name)).toEqual(["update in place"]);
    await device.dispose();
  });

  it("is opened anew where the check lost it", async () => {
    let lost = false;
    const source = pretendedGpu((code, device) => {
      if (!lost) device.destroy();
      lost = true;
      return code;
    });
    const device = await openAsked({ folder, warn, source });
    expect(warned).toEqual([expect.stringMatching(/its matrix product failed: The webgpu device was lost/)]);
    await works(device);
  });

  it("that compiles nothing is named with what it says", async () => {
    const source = pretendedGpu(() => "fn main( {");
    expect(await openForAuto({ folder, warn, source })).toBeUndefined();
    expect(warned).toEqual([
      expect.stringContaining('its matrix product failed: webgpu: the check "matrix product"'),
    ]);
  });

  it("that refuses a device is named too", async () => {
    const adapter = { info: { vendor: "acme", architecture: "", device: "", description: "", isFallbackAdapter: false }, features: new Set(), limits: {}, requestDevice: () => Promise.reject(new Error("busy")) } as unknown as GPUAdapter; // prettier-ignore
    expect(
      await openForAuto({ folder, warn, source: { find: () => Promise.resolve(adapter) } }),
    ).toBeUndefined();
    expect(warned).toEqual([
      "the GPU acme is left alone: The WebGPU adapter acme refused a device: busy; computing on the CPU instead.",
    ]);
  });
});

describe("without hardware", () => {
  it("auto takes no adapter and says nothing", async () => {
    const none = { find: () => Promise.reject(new UserError("There is none.")) };
    for (const source of [dawnSource, none])
      if (source === none || (await softwareHere()))
        expect(await openForAuto({ folder, warn, source })).toBeUndefined();
    expect(warned).toEqual([]);
  });

  it("what breaks while an adapter is looked for is named, and no reason to end", async () => {
    const source = { find: () => Promise.reject(new Error("the loader is too old")) };
    expect(await openForAuto({ folder, warn, source })).toBeUndefined();
    expect(warned).toEqual(["WebGPU is left alone: the loader is too old; computing on the CPU instead."]);
  });

  it("a software adapter is opened for who asks, unchecked, and says what it is", async () => {
    const source = pretendedGpu(undefined, {
      vendor: "mesa",
      architecture: "",
      device: "llvmpipe",
      description: "",
    });
    const device = await openAsked({ folder, warn, source });
    expect(device.describe()).toMatch(/^llvmpipe, a software adapter/);
    await works(device);
    expect(warned).toEqual([]);
    expect(source.compiled()).toBe(1);
  });
});

const softwareHere = async (): Promise<boolean> => {
  const { info } = await dawnSource.find(undefined);
  return info.isFallbackAdapter || /swiftshader|llvmpipe/.test(info.architecture + info.device);
};

describe("what is remembered", () => {
  it("survives files of no use", async () => {
    for (const text of ["", "{}", "[1, null", '{"0.1.0": true}', "[{}]"]) {
      await writeFile(checkFile({ folder }), text);
      expect(await hasPassed("x", { folder })).toBe(false);
    }
    await remember("x", true, { folder });
    expect(await hasPassed("x", { folder })).toBe(true);
    expect(await hasPassed("x", { folder, version: "9.9.9" })).toBe(false);
    await remember("x", false, { folder });
    expect(await hasPassed("x", { folder })).toBe(false);
  });

  it("is not written where it cannot be", async () => {
    const blocked = join(folder, "file");
    await writeFile(blocked, "");
    await remember("x", true, { folder: join(blocked, "below") });
    expect(await hasPassed("x", { folder: join(blocked, "below") })).toBe(false);
  });

  it("is of the latest adapters", async () => {
    for (let i = 0; i < 70; i++) await remember(`adapter ${i}`, true, { folder });
    expect(JSON.parse(await readFile(checkFile({ folder }), "utf8"))).toHaveLength(64);
    expect(await hasPassed("adapter 69", { folder })).toBe(true);
  });
});

describe("auto", () => {
  afterEach(() => {
    vi.doUnmock("../../../src/runtime/webgpu/node.ts");
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });
  const openWith = async (hardwareSource: unknown): Promise<Device> => {
    vi.resetModules();
    vi.stubEnv("FLUXION_CACHE", folder);
    vi.doMock("../../../src/runtime/webgpu/node.ts", () => ({ hardwareSource, dawnSource }));
    const { openDevice } = (await import("../../../src/runtime/devices.ts")) as {
      openDevice: () => Promise<Device>;
    };
    return openDevice();
  };

  it("is webgpu where there is hardware that passes, and cpu where it does not", async () => {
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    await remember(ACME, true, { folder });
    const good = await openWith(pretendedGpu());
    expect(good.name).toBe("webgpu");
    await works(good);
    expect(write).not.toHaveBeenCalled();
    await rm(checkFile({ folder }));
    const other = await openWith(pretendedGpu(WRONG_EXP));
    expect(other.name).toBe("cpu");
    await other.dispose();
    expect(write.mock.calls.map(([line]) => line)).toEqual([
      expect.stringMatching(/^fluxion: the GPU acme-9000 .* computing on the CPU instead\.\n$/),
    ]);
  });
});

describe("the table", () => {
  it("shows errors, what they may be, and what failed", () => {
    const results = [
      { name: "sort", worst: 0, tolerance: 0 },
      { name: "attention", worst: 0.312, tolerance: 1e-4 },
      { name: "loop", worst: Infinity, tolerance: 1e-4 },
      { name: "f16", worst: Infinity, tolerance: 1.1e-3, problem: "no\u001b[2J" },
    ];
    expect(checkText(results)).toBe(
      [
        "program    worst error      allowed",
        "sort       0                0        right",
        "attention  0.31             1.0e-4   WRONG",
        "loop       infinity or NaN  1.0e-4   WRONG",
        "f16        none             0.0011   FAILED: no [2J",
        "",
        "3 of 4 programs are wrong on this adapter: its results cannot be trusted.",
      ].join("\n"),
    );
    expect(failureOf(results)).toBe("its attention is off by 0.31");
    expect(failureOf(results.slice(3))).toBe("its f16 failed: no\u001b[2J");
    expect(failureOf(results.slice(0, 1))).toBeUndefined();
  });
});
