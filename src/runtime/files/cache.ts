/**
 * Where files are kept that save work and can be made again: `FLUXION_CACHE`, else the user's cache folder as the XDG convention has
 * it. Consumed by the software adapter and by the tuner's table.
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const { FLUXION_CACHE, XDG_CACHE_HOME } = env;
  if (FLUXION_CACHE !== undefined && FLUXION_CACHE !== "") return resolve(FLUXION_CACHE);
  // An empty or relative one is to be ignored, says the convention.
  const base = XDG_CACHE_HOME?.startsWith("/") ? XDG_CACHE_HOME : join(homedir(), ".cache");
  return join(base, "fluxion");
}
