/**
 * Puts Dawn of a platform beside the bundled benchmark of hardware, by default this one's: `node bench/gpu/copy-dawn.js linux-arm64`.
 * Consumed by `npm run bench:bundle`.
 */
import { copyFileSync } from "node:fs";

const here = process.platform === "darwin" ? "darwin-universal" : `${process.platform}-${process.arch}`;
const [platform = here, folder = ".cache/gpu"] = process.argv.slice(2);
copyFileSync(`node_modules/webgpu/dist/${platform}/dawn.node`, `${folder}/dawn.node`);
