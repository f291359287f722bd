/**
 * A software adapter out of an npm package, for machines without a GPU: `@sparticuz/chromium` has, beside a browser, the Vulkan
 * driver SwiftShader and a Vulkan loader, in one small archive. It is unpacked once into the user's cache folder. Tests get their
 * adapter here; anyone else may install the package too.
 *
 * Consumed by `node.ts`. Node only.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { removeLeftovers, writeFileAtomic } from "../files/atomic.ts";
import { cacheFolder } from "../files/cache.ts";
import { fileError } from "../files/errors.ts";
import { makeFolder } from "../files/folder.ts";
import { messageOf } from "./gpu.ts";
import { readTar } from "./tar.ts";

/** How to get the package, in the version whose archive is known to fit. */
export const INSTALL_SOFTWARE = "npm install --save-dev @sparticuz/chromium@147.0.0";

const LOADER = "libvulkan.so.1";
const MANIFEST = "vk_swiftshader_icd.json";
const FILES = [LOADER, MANIFEST, "libvk_swiftshader.so"] as const;

/** Paths of an unpacked software adapter. */
export interface SoftwareVulkan {
  readonly loader: string;
  /** The driver's manifest, as `VK_ICD_FILENAMES` takes it. */
  readonly driver: string;
}

/** The unpacked software adapter, or a sentence saying why there is none. */
export async function softwareVulkan(): Promise<SoftwareVulkan | string> {
  if (process.platform !== "linux" || process.arch !== "x64")
    return `The software adapter of @sparticuz/chromium is for linux-x64, and this is ${process.platform}-${process.arch}.`;
  const archive = findArchive();
  if (archive === undefined) return "The npm package @sparticuz/chromium, which has one, is not installed.";
  try {
    const folder = await unpack(await readFile(archive));
    return { loader: join(folder, LOADER), driver: join(folder, MANIFEST) };
  } catch (error) {
    return `The software adapter in ${archive} could not be unpacked: ${messageOf(fileError(error, "write", cacheFolder()))}`;
  }
}

function findArchive(): string | undefined {
  try {
    // The package exports its entry only, two folders below its own.
    const entry = createRequire(import.meta.url).resolve("@sparticuz/chromium");
    return join(dirname(entry), "../../bin/swiftshader.tar.br");
  } catch {
    return undefined;
  }
}

/**
 * Unpacks the archive, unless it was before, and returns the folder. Each file appears whole under its name, and the same from
 * whoever writes it: so processes may do this at the same time, or die meanwhile, and what is missing is all there is to repair.
 */
async function unpack(archive: Uint8Array): Promise<string> {
  const hash = createHash("sha256").update(archive).digest("hex").slice(0, 16);
  const folder = join(cacheFolder(), `swiftshader-${hash}`);
  const missing = FILES.filter((name) => !existsSync(join(folder, name)));
  if (missing.length === 0) return folder;
  const files = readTar(await promisify(brotliDecompress)(archive));
  await makeFolder(folder);
  await removeLeftovers(folder);
  for (const name of missing) {
    const content = files.get(name);
    if (content === undefined)
      throw new Error(`it has no ${name}; install the known version: ${INSTALL_SOFTWARE}`);
    await writeFileAtomic(join(folder, name), content);
  }
  return folder;
}
