/**
 * The tests of the devices on TensorFlow.js, on the device `tfjs:node`, with a library made for it: `npm run test:tfjs-node`. What
 * follows is for vitest. Exit code 3: the library cannot be had here, for the reason that is printed, and nothing was tested.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { prepare, TENSORFLOW, Unavailable } from "./prepare.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const FILES = ["test/compiler/tfjs", "test/runtime/tfjs/tfjs-device.test.ts"];

let modules;
try {
  modules = prepare(`${root}.cache/tfjs-node/${TENSORFLOW}`);
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  console.error(`tfjs-node: nothing is tested: ${error.message}`);
  process.exit(3);
}
const command = [`${root}node_modules/vitest/vitest.mjs`, "run", "--project", "node", ...FILES];
const { status } = spawnSync(process.execPath, [...command, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
  // The devices find packages there; and the library is told to keep what is no warning to itself.
  env: { ...process.env, NODE_PATH: modules, FLUXION_TFJS: "node", TF_CPP_MIN_LOG_LEVEL: "2" },
});
process.exit(status ?? 1);
