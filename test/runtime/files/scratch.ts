/** A fresh temporary folder per test, removed afterwards. Used by every test that touches files. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { UserError } from "../../../src/runtime/files/errors.ts";

export async function scratchFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "fluxion-test-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/**
 * Runs `work` and gives the message of the `UserError` it must fail with; any other outcome fails the test.
 */
export async function userErrorOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  throw new Error("expected a UserError, but the call succeeded");
}
