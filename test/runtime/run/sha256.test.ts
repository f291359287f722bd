import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { sha256 } from "../../../src/runtime/run/sha256.ts";

const expected = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

it("is SHA-256: of every length around a block, however the bytes are cut", () => {
  const bytes = Uint8Array.from({ length: 200 }, (_, i) => (i * 89) % 256);
  for (let length = 0; length <= bytes.length; length++)
    expect(sha256([bytes.subarray(0, length)]), `${length} bytes`).toBe(expected(bytes.subarray(0, length)));
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 150 }), { maxLength: 6 }), (pieces) => {
      expect(sha256(pieces)).toBe(expected(Buffer.concat(pieces)));
    }),
  );
});

it("is SHA-256 of a few megabytes", () => {
  const bytes = new Uint8Array(3 * 2 ** 20 + 5).map((_, i) => i ^ (i >>> 7));
  expect(sha256([bytes])).toBe(expected(bytes));
});
