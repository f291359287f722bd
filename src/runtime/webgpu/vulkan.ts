/**
 * The Vulkan loader, which finds a machine's drivers, and the environment that tells it where to look. Dawn loads it by its name,
 * and knows no folder to look in; but a library that is loaded already is found by its name wherever it came from.
 *
 * Consumed by `node.ts`. Linux only: elsewhere Dawn uses what the system has.
 */
import { readdirSync } from "node:fs";
import { homedir, constants } from "node:os";
import { join } from "node:path";

/** glibc's flag for a library that stays loaded when it is closed; Node does not name it. */
const RTLD_NODELETE = 0x1000;

/**
 * Loads a Vulkan loader for the life of the process.
 * @param path a file, or a name that the system's linker looks up
 * @returns whether it is loaded
 */
export function loadVulkanLoader(path = "libvulkan.so.1"): boolean {
  try {
    process.dlopen(
      { exports: {} },
      path,
      constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | RTLD_NODELETE,
    );
    return true;
  } catch (error) {
    // Node loads the library, finds no addon in it, and closes it again, which the flag turns into nothing. Other errors are real.
    return error instanceof Error && error.message.includes("did not self-register");
  }
}

/** The drivers that the user wants used instead of those installed: the variable and its value. */
export function chosenDrivers(): string | undefined {
  for (const name of ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]) {
    const value = process.env[name];
    if (value !== undefined) return `${name}=${value}`;
  }
  return undefined;
}

/** Calls `f` while the loader sees this driver only. Programs that this one starts do not inherit it. */
export function withDriver<T>(manifest: string, f: () => T): T {
  process.env["VK_ICD_FILENAMES"] = manifest;
  try {
    return f();
  } finally {
    delete process.env["VK_ICD_FILENAMES"];
  }
}

/** Whether a driver is installed where loaders look by default. */
export function hasInstalledDriver(): boolean {
  const { XDG_CONFIG_HOME, XDG_CONFIG_DIRS, XDG_DATA_HOME, XDG_DATA_DIRS } = process.env;
  const folders = [
    XDG_CONFIG_HOME || join(homedir(), ".config"),
    ...(XDG_CONFIG_DIRS || "/etc/xdg").split(":"),
    "/usr/local/etc",
    "/etc",
    XDG_DATA_HOME || join(homedir(), ".local/share"),
    ...(XDG_DATA_DIRS || "/usr/local/share:/usr/share").split(":"),
  ];
  return folders.some((folder) => {
    try {
      return readdirSync(join(folder, "vulkan/icd.d")).some((name) => name.endsWith(".json"));
    } catch {
      return false; // no such folder
    }
  });
}
