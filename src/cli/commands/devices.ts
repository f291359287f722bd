/** `fluxion devices`: what programs can run on here, and why something is missing. */
import { listDevices } from "../../runtime/devices.ts";
import type { Command } from "../arguments.ts";

export const devices: Command = {
  name: "devices",
  positionals: [],
  summary: "Lists the devices that programs can run on here, and why others cannot be used.",
  options: {},
  async run() {
    const found = await listDevices();
    const width = Math.max(...found.map(({ name }) => name.length));
    for (const { name, available, detail } of found) {
      process.stdout.write(`${name.padEnd(width)}  ${available ? "available" : "absent   "}  ${detail}\n`);
    }
    return 0;
  },
};
