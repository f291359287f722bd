/**
 * The benchmark of hardware as one file: `npm run bench:bundle` makes it, with Dawn beside it, for a machine with a GPU and nothing but
 * Node. Where the packages are installed, `npm run bench -- --device webgpu --hardware` does the same.
 */
import { HARDWARE_HELP, parseHardwareOptions, runHardware } from "./gpu/run-hardware.ts";

const options = parseHardwareOptions(process.argv.slice(2));
if (options === "help") process.stderr.write(`node hardware.mjs [options]\n${HARDWARE_HELP}\n`);
else await runHardware(options);
