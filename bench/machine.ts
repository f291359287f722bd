/**
 * What the numbers depend on besides the code: processor, cores, adapter, versions, date, and what else the machine is doing.
 * Consumed by run.ts and gpu-device.ts.
 */
import { cpus, loadavg, totalmem } from "node:os";
import type { Gpu } from "../src/runtime/webgpu/gpu.ts";

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
  readonly packages: Readonly<Record<string, string>>;
  readonly gpu?: Adapter;
}

/** A WebGPU adapter, as it describes itself. */
export interface Adapter {
  readonly adapter: string;
  readonly driver: string;
  readonly vendor: string;
  readonly architecture: string;
  /** Whether it computes on the CPU. */
  readonly software: boolean;
  readonly features: readonly string[];
}

export function describeAdapter({ device, adapter, software, features }: Gpu): Adapter {
  const { device: model, description } = device.adapterInfo;
  return {
    adapter: model.replace(/-+$/, "") || adapter.name,
    driver: description,
    vendor: adapter.vendor,
    architecture: adapter.architecture,
    software,
    features: [...features].sort(),
  };
}

/** @param packages versions of those that matter */
export function describeMachine(packages: Machine["packages"], gpu?: Adapter): Machine {
  const processors = cpus();
  return {
    date: new Date().toISOString(),
    cpu: processors[0]?.model.trim() ?? "unknown processor",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    packages,
    ...(gpu === undefined ? {} : { gpu }),
  };
}

/** Runnable processes of the last minute, on average. */
export const load = (): number => loadavg()[0] ?? 0;

/** A sentence when others keep the processors busy, else undefined. The benchmarks themselves keep one or two busy. */
export function loadWarning(before: number, cores: number): string | undefined {
  if (before <= 0.5) return undefined;
  return (
    `The load average was ${before.toFixed(1)} on ${cores} cores before the benchmarks began: other programs are running. ` +
    "Trust ratios more than times, and ratios of CPU time most."
  );
}
