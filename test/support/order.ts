/**
 * In which order files of tests start: the long ones first, since one that starts last leaves the other cores with nothing to do. A fresh
 * clone has no times of earlier runs, so the long ones are named here. Consumed by `vitest.config.ts`.
 */
import { statSync } from "node:fs";
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";

/** Files that take half a minute and more, the longest first. */
export const LONG = [
  "examples/examples",
  "docs/shell",
  "studio/engine",
  "studio/whole",
  "compiler/schedule/dot",
  "studio/page",
  "cli/train",
  "bench/webgpu",
  "studio/declared",
  "compiler/schedule/dot-candidates",
  "runtime/verify/correct",
  "compiler/schedule/attention-quads",
  "cli/resume",
  "studio/playground",
  "cli/lost-device",
  "runtime/training/two-phrases",
].map((name) => `/test/${name}.test.ts`);

/** The files of {@link LONG}, then the others by size, as every run orders them. */
export class LongestFirst extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const ranked = files.map((file) => {
      const long = LONG.findIndex((name) => file.moduleId.endsWith(name));
      return { file, rank: long < 0 ? LONG.length : long, size: statSync(file.moduleId).size };
    });
    ranked.sort((a, b) => a.rank - b.rank || b.size - a.size);
    return Promise.resolve(ranked.map(({ file }) => file));
  }
}
