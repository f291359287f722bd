/**
 * What verify finds wrong with a variant. Consumed by the tests of planted mistakes.
 */
import { expect } from "vitest";
import type { Family } from "../../src/models/flow/verify/identity.ts";
import { verifyFlow } from "../../src/runtime/verify/verify.ts";

/** Names of what fails, in the order in which it is looked at; each says what usually causes it, or what was thrown. */
export async function failures(
  variant: Parameters<typeof verifyFlow>[0],
  families: readonly Family[],
): Promise<readonly string[]> {
  const { results, passed } = await verifyFlow(variant, { cases: 4, families });
  const failed = results.filter((result) => !result.passed);
  expect(passed).toBe(failed.length === 0);
  for (const { cause, error } of failed) {
    expect((cause ?? error)?.trim()).toMatch(/\S/);
    expect(cause === undefined).toBe(error !== undefined);
  }
  return failed.map(({ name }) => name);
}
