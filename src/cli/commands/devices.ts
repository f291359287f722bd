/** `fluxion devices`: what programs can run on here, and why something is missing; and whether the GPU computes rightly. */
import { listDevices, openDevice } from "../../runtime/devices.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { checkDevice, openUnchecked } from "../../runtime/webgpu/choose.ts";
import { errorText, passed } from "../../runtime/webgpu/self-check.ts";
import type { CheckResult } from "../../runtime/webgpu/self-check.ts";
import type { Command } from "../arguments.ts";

export const devices: Command = {
  name: "devices",
  positionals: [],
  summary: "Lists the devices that programs can run on here, and why others cannot be used.",
  options: {
    check: { help: "Runs a few programs on the WebGPU adapter and compares them with the interpreter." },
    adapter: { value: "NAME", help: "With --check: a part of the adapter's name (default: the best)." },
  },
  async run(args) {
    const adapter = args.text("adapter");
    if (args.flag("check")) return check(adapter);
    if (adapter !== undefined) throw new UserError("--adapter says what to check; give --check as well");
    const found = await listDevices();
    const width = Math.max(...found.map(({ name }) => name.length));
    for (const { name, available, detail } of found) {
      process.stdout.write(`${name.padEnd(width)}  ${available ? "available" : "absent   "}  ${detail}\n`);
    }
    const chosen = await openDevice();
    process.stdout.write(`auto is ${chosen.name}.\n`);
    await chosen.dispose();
    return 0;
  },
};

/** @returns 1 when the adapter computes wrongly */
async function check(adapter: string | undefined): Promise<number> {
  const device = await openUnchecked({ adapter });
  try {
    process.stderr.write(`${device.describe()}\n`);
    const results = await checkDevice(device);
    process.stdout.write(`${checkText(results)}\n`);
    return results.every(passed) ? 0 : 1;
  } finally {
    await device.dispose();
  }
}

/** A table of the programs with their errors, and below it what it comes to. */
export function checkText(results: readonly CheckResult[]): string {
  const rows = results.map((result) => [
    result.name,
    result.problem === undefined ? errorText(result.worst) : "none",
    errorText(result.tolerance),
    passed(result) ? "right" : result.problem === undefined ? "WRONG" : `FAILED: ${result.problem}`,
  ]);
  const table = [["program", "worst error", "allowed", ""], ...rows];
  const widths = [0, 1, 2].map((i) => Math.max(...table.map((row) => (row[i] as string).length))); // rows of four
  const lines = table.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const wrong = results.filter((result) => !passed(result)).length;
  const verdict =
    wrong === 0
      ? "The adapter computes what the interpreter does."
      : `${wrong} of ${results.length} programs are wrong on this adapter: its results cannot be trusted.`;
  return [...lines, "", verdict].join("\n").replace(/(?!\n)\p{Cc}/gu, " "); // what drivers say could steer the terminal
}
