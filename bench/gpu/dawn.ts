/**
 * Stands for the npm package `webgpu` in the script for GPUs: the same engine, from a file that lies beside the script. Consumed by its
 * bundle, which takes this file where the sources import `webgpu`.
 */
import { createRequire } from "node:module";

const dawn = createRequire(import.meta.url)("./dawn.node") as typeof import("webgpu");

export const { create, globals } = dawn;
