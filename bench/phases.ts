/**
 * Times of things that are done once. Consumed by the cases that report phases.
 */
import type { Phase } from "./case.ts";

/** Runs something and says how long it took. */
export async function timed<T>(
  name: string,
  work: () => T | Promise<T>,
): Promise<{ readonly value: T; readonly phase: Phase }> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const value = await work();
  const used = process.cpuUsage(cpu);
  return {
    value,
    phase: { name, wallMs: performance.now() - start, cpuMs: (used.user + used.system) / 1000 },
  };
}

/** What a phase took beyond another that is contained in it. */
export const beyond = (name: string, whole: Phase, part: Phase): Phase => ({
  name,
  wallMs: Math.max(0, whole.wallMs - part.wallMs),
  cpuMs: Math.max(0, whole.cpuMs - part.cpuMs),
});
