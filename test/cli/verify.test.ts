/** `fluxion verify`: tables and JSON, exit codes, and a sentence for every file that cannot be verified. */
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { fluxion, packageUrl, start, testFolder } from "../support/cli.ts";

const options = { timeout: 120_000 };

/** A file of a user's, which imports the package. */
async function userFile(name: string, text: string): Promise<string> {
  const file = join(await testFolder(), name);
  await writeFile(
    file,
    `import { models } from "${await packageUrl()}";\nconst { clocks, flows, sources } = models;\n${text}`,
  );
  return file;
}

const RIGHT = `export const bounded = flows.flow({ name: "bounded", source: sources.uniform() });
export { bounded as again };
export const other = 3;
`;
const WRONG = `const clock = { ...clocks.uniformClock(), time: (tau) => tau ** 2 };
export default flows.flow({ name: "late", clock, source: sources.uniform() });
`;

describe("fluxion verify", options, () => {
  it("prints a table of what holds, and what does not apply, once for each variant", async () => {
    const { code, stdout, stderr } = await fluxion([
      "verify",
      await userFile("right.mjs", RIGHT),
      "--cases",
      "3",
    ]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout.match(/^bounded \(flow\), on interpreter$/gm)).toHaveLength(1);
    expect(stdout).toMatch(/^ +identity +cases +worst +at most +formula$/m);
    expect(stdout).toMatch(/^ok +inverse of the clock +6 +0 +1\.0e-6 +τ\(time\(τ\)\) = τ$/m);
    expect(stdout).toMatch(/^ {2}density of the source: the source "uniform" declares no density$/m);
    expect(stdout).toMatch(/^All 11 identities hold\.$/m);
  });

  it("says what fails, where, and what usually is the cause; exit code 1", async () => {
    const { code, stdout } = await fluxion(["verify", await userFile("wrong.mjs", WRONG), "--cases", "3"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAILED +inverse of the clock /m);
    expect(stdout).toContain(
      [
        "inverse of the clock: τ(time(τ)) = τ",
        "  residual 0.25, τ 0.5",
        "  usual cause: The inverse belongs to another clock, or comes from a table that is too coarse.",
        "",
        "1 identity of 11 fails.",
      ].join("\n"),
    );
  });

  it.each(["far.mjs", "far.ts"])(
    "takes a file outside of every project, by the package's name: %s",
    async (name) => {
      const file = join(await testFolder(), name);
      await writeFile(
        file,
        `import { models } from "fluxion";\nconst { flows, sources } = models;\n${RIGHT}`,
      );
      const { code, stdout, stderr } = await fluxion(["verify", file, "--cases", "1"]);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      expect(stdout).toMatch(/^All 11 identities hold\.$/m);
      await writeFile(file, 'import "fluxion-of-others";\n');
      expect(await fluxion(["verify", file])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("Cannot find package 'fluxion-of-others'"),
      });
    },
  );

  it("has the exit code of its verdict when its reader leaves", async () => {
    const started = await start(["verify", await userFile("unread.mjs", WRONG), "--cases", "3"]);
    started.child.stdout?.destroy();
    expect(await started.done).toMatchObject({ code: 1, signal: null });
  });

  it("takes flows on the sphere", async () => {
    const file = await userFile(
      "sphere.mjs",
      `export const circles = models.spheres.sphericalFlow({ name: "circles" });\n`,
    );
    const { code, stdout } = await fluxion(["verify", file, "--cases", "1"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^circles \(spherical flow\), on interpreter$/m);
    expect(stdout).toMatch(/^ok +great circle /m);
    expect(stdout).toMatch(/^All \d+ identities hold\.$/m);
  });

  it("prints JSON alone on standard output", async () => {
    const { code, stdout } = await fluxion([
      "verify",
      await userFile("wrong.mjs", WRONG),
      "--json",
      "--seed",
      "3",
    ]);
    expect(code).toBe(1);
    const { passed, reports } = JSON.parse(stdout) as {
      passed: boolean;
      reports: { seed: number; variant: string }[];
    };
    expect(passed).toBe(false);
    expect(reports).toMatchObject([{ seed: 3, variant: "late", kind: "flow", device: "interpreter" }]);
  });

  it.each<[string, string, string, RegExp]>([
    [
      "is no module",
      "notes.txt",
      "",
      /notes\.txt is no module; give a file that ends in \.ts, \.mts, \.js, \.mjs$/,
    ],
    [
      "exports nothing to verify",
      "none.mjs",
      "export const x = 1;",
      /none\.mjs exports no flow, flow map or spherical flow; export what/,
    ],
    [
      "exports what only looks like a flow",
      "looks.mjs",
      'export const f = { kind: "flow", name: "f" };',
      /looks\.mjs exports no flow, flow map or spherical flow; export what/,
    ],
    [
      "exports a function that declares one",
      "function.mjs",
      "export default (vocab) => flows.flow({ name: `of ${vocab}` });",
      /function\.mjs exports no flow, flow map or spherical flow, and functions that declare one are not called; export what one of them returns$/,
    ],
    [
      "declares what does not fit",
      "refused.mjs",
      'export const f = flows.flow({ name: "f", source: sources.uniform(), predicts: "score" });',
      /refused\.mjs:3: The flow "f" has no score that follows from its noise/,
    ],
    ["is no JavaScript", "broken.mjs", "export const = 1;", /broken\.mjs: Unexpected token '='$/],
  ])("says in a line that a file %s; exit code 2", async (_what, name, text, message) => {
    const { code, stdout, stderr } = await fluxion(["verify", await userFile(name, text)]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr.trim()).toMatch(message);
  });

  it("says so of a file that is not there, and of a device that is not", async () => {
    const absent = await fluxion(["verify", "absent.mjs"]);
    expect(absent).toMatchObject({
      code: 2,
      stderr: "fluxion: Cannot read absent.mjs: it does not exist; check the path (ENOENT).\n",
    });
    const device = await fluxion(["verify", await userFile("right.mjs", RIGHT), "--device", "abacus"]);
    expect(device.code).toBe(2);
    expect(device.stderr).toMatch(/There is no device "abacus"/);
  });

  it("loads TypeScript, in this Node by esbuild", async () => {
    const file = await userFile(
      "typed.ts",
      `export const f: unknown = flows.flow({ name: "typed", source: sources.uniform() });\n`,
    );
    const { code, stdout } = await fluxion(["verify", file, "--cases", "2"]);
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("typed (flow)") as string,
    });
  });

  // As types are checked with Node's rules for modules, where a TypeScript file is imported by the name that it is compiled to.
  it.each(["./beside.js", "./beside"])("finds a TypeScript file beside it as %s", async (specifier) => {
    const beside = await userFile("beside.ts", RIGHT);
    const file = join(dirname(beside), "main.ts");
    await writeFile(file, `export { bounded } from "${specifier}";\n`);
    expect(await fluxion(["verify", file, "--cases", "1"])).toMatchObject({ code: 0 });
    await writeFile(file, 'import "./nothing.js";\n');
    const { stderr } = await fluxion(["verify", file]);
    expect(stderr).toMatch(
      /^fluxion: \S*main\.ts: Cannot find module '\S*nothing\.js' imported from \S*main\.ts\n$/,
    );
  });

  it.each<[string, string, RegExp]>([
    ["has a mistake in its syntax", "export const f: = 1;\n", /: broken\.ts:3: Unexpected "="\n$/],
    [
      "throws below types that are gone when it runs",
      'interface Gone {\n  a: 1;\n}\nexport const f: Gone =\n  flows.missing({ name: "f" });\n',
      /broken\.ts:7: flows\.missing is not a function\n$/,
    ],
    [
      "imports what is not there",
      'import { absent } from "node:fs";\nabsent();\n',
      /broken\.ts:3: The requested module 'node:fs' does not provide an export named 'absent'\n$/,
    ],
    [
      "gives the language what it does not take",
      'export const f = flows.interpolant({\n  name: "i",\n  alpha: (t) => 1 - t,\n  beta: (t) => t });\n',
      /broken\.ts:3: expected a tree of tensors, found a number\n$/,
    ],
  ])("names the line of a file that %s", async (_what, text, message) => {
    const { code, stderr } = await fluxion(["verify", await userFile("broken.ts", text)], {
      cwd: await testFolder(),
    });
    expect(code).toBe(2);
    expect(stderr.replaceAll(/\/\S*\//g, "")).toMatch(message);
    expect(stderr.match(/\n/g)).toHaveLength(1);
  });
});
