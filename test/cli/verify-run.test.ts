/** `fluxion verify RUN`: the flow map of a run against its teacher, as a table and as JSON; tolerances; and what is no such run. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fluxion, testFolder } from "../support/cli.ts";
import { storyDocuments } from "../support/story.ts";

const options = { timeout: 120_000 };

describe("fluxion verify RUN", options, () => {
  let [run, text] = ["", ""];
  beforeAll(async () => {
    const folder = await testFolder();
    [run, text] = [join(folder, "run"), join(folder, "story.txt")];
    await writeFile(text, storyDocuments(600).join("\n"));
    const small =
      "--vocab 40 --length 4 --width 8 --depth 1 --heads 2 --steps 4 --distill-steps 3 --batch 64";
    const made = await fluxion(
      ["demo", "--quick", "--data", text, "--out", run, "--device", "cpu", "--samples", "4", ...small.split(" ")], // prettier-ignore
    );
    expect(made).toMatchObject({ code: 0 });
  }, 120_000);

  const verify = (...more: readonly string[]) =>
    fluxion(["verify", run, "--device", "cpu", "--cases", "2", ...more]);

  it("prints the residuals of the student beside those of its teacher, and judges nothing", async () => {
    const { code, stdout } = await verify();
    expect(code).toBe(0);
    expect(stdout).toContain(`${run}: fmlm against the flm of the same run, on cpu`);
    expect(stdout).toMatch(/^ +residual +counted in +mean +worst +at most +mean, τ 0 to 0\.25 /m);
    expect(stdout).toMatch(/^ +diagonal +total variation +\S+ \(0\) +\S+ \(0\) /m);
    expect(stdout).toMatch(/^ +one jump or the teacher's steps +distance /m);
    expect(stdout).toContain("Nothing is judged: give --tolerance NAME=X");
  });

  it("makes checks of residuals, with an exit code; the run's own folder may be the teacher's", async () => {
    const { code, stdout } = await verify(
      "--json",
      "--teacher",
      run,
      "--tolerance",
      "simplex=0.01; tangent=0",
    );
    expect(code).toBe(1);
    const { passed, results, kind } = JSON.parse(stdout) as {
      passed: boolean;
      kind: string;
      results: readonly { name: string; passed?: boolean; student: { ranges: unknown[] } }[];
    };
    expect({ passed, kind }).toEqual({ passed: false, kind: "trained flow map" });
    const judged = results.filter((result) => result.passed !== undefined);
    expect(judged.map((result) => [result.name, result.passed])).toEqual([
      ["tangent", false],
      ["simplex", true],
    ]);
    expect(results[0]?.student.ranges).toHaveLength(4);
  });

  it("says in a line what cannot be", async () => {
    const wrong = async (...more: readonly string[]) => {
      const { code, stderr } = await verify(...more);
      expect(code).toBe(2);
      return stderr.trim().split("\n").at(-1);
    };
    expect(await wrong("--tolerance", "simplex")).toBe(
      'fluxion: --tolerance is NAME=X with a number X, got "simplex"',
    );
    expect(await wrong("--tolerance", " ;")).toBe('fluxion: --tolerance is NAME=X with a number X, got " ;"');
    expect(await wrong("--tolerance", "simplex=1; simplex=2")).toBe(
      'fluxion: --tolerance names "simplex" twice; name it once',
    );
    expect(await wrong("--tolerance", "colour=1")).toMatch(
      /There is no residual "colour"; there are diagonal; /,
    );
    const folder = await testFolder();
    expect((await fluxion(["verify", folder])).code).toBe(2);
    const file = join(folder, "flow.mjs");
    await writeFile(file, "export const x = 1;");
    expect((await fluxion(["verify", file, "--teacher", run])).stderr).toMatch(
      /--teacher is for a run folder, and .*flow\.mjs is none; leave it out/,
    );
  });
});
