// Rotary positions and self-attention: the invariants they exist for, and plain loops over numbers.

import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { nn, random } from "../../../src/dsl/index.ts";
import { constants, distance, evaluate, floats, list } from "../../support/evaluate.ts";
import { stream } from "../transforms/harness.ts";

const next = stream(23);
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const randomFloats = (...shape: number[]): ExactTensor =>
  floats(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * next() - 1),
  );
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
/** Rows of the last axis. */
function rowsOf(x: ExactTensor): number[][] {
  const width = x.shape.at(-1) as number;
  return range(x.data.length / width).map((r) => list(x).slice(r * width, (r + 1) * width));
}

/** One vector rotated to a position, coordinate by coordinate. */
function rotated(x: readonly number[], position: number, base = 10_000): number[] {
  const half = x.length / 2;
  return x.map((_, i) => {
    const k = i % half;
    const angle = position * base ** ((-2 * k) / x.length);
    const [a, b] = [x[k] as number, x[k + half] as number];
    return i < half ? a * Math.cos(angle) - b * Math.sin(angle) : b * Math.cos(angle) + a * Math.sin(angle);
  });
}

describe("rotary positions", () => {
  it("rotate coordinate i with i + depth/2", () => {
    const x = randomFloats(2, 5, 6);
    const y = evaluate({ x }, (t) => nn.applyRotary(nn.rotaryTables({ length: 5, depth: 6 }), t.x));
    expect(
      distance(
        y.data,
        rowsOf(x).flatMap((row, r) => rotated(row, r % 5)),
      ),
    ).toBeLessThan(1e-14);
    const other = evaluate({ x }, (t) =>
      nn.applyRotary(nn.rotaryTables({ length: 5, depth: 6, base: 100 }), t.x),
    );
    expect(
      distance(
        other.data,
        rowsOf(x).flatMap((row, r) => rotated(row, r % 5, 100)),
      ),
    ).toBeLessThan(1e-14);
  });

  it("keep norms, and give scores that depend on the distance alone", () => {
    const [q, k] = [randomFloats(1, 8), randomFloats(1, 8)];
    const length = 40;
    const spread = (x: ExactTensor): ExactTensor =>
      floats(
        [length, 8],
        range(length).flatMap(() => list(x)),
      );
    const { a, b } = evaluate({ q: spread(q), k: spread(k) }, (t) => {
      const tables = nn.rotaryTables({ length, depth: 8 });
      return { a: nn.applyRotary(tables, t.q), b: nn.applyRotary(tables, t.k) };
    });
    const [queries, keys] = [rowsOf(a), rowsOf(b)];
    for (const row of queries) expect(Math.abs(dot(row, row) - dot(list(q), list(q)))).toBeLessThan(1e-13);
    for (const gap of [0, 1, 7]) {
      const scores = range(length - gap).map((m) => dot(queries[m + gap] as number[], keys[m] as number[]));
      expect(Math.max(...scores) - Math.min(...scores)).toBeLessThan(1e-12);
    }
    expect(
      Math.abs(
        dot(queries[0] as number[], keys[0] as number[]) - dot(queries[7] as number[], keys[0] as number[]),
      ),
    ).toBeGreaterThan(1e-3);
  });

  it("refuse odd depths and other lengths", () => {
    expect(() => constants(() => nn.rotaryTables({ length: 4, depth: 3 }).cos)).toThrow(
      /must be even, got 3/,
    );
    expect(() =>
      evaluate({ x: randomFloats(4, 6) }, (t) =>
        nn.applyRotary(nn.rotaryTables({ length: 5, depth: 6 }), t.x),
      ),
    ).toThrow(/tables \[5,3\] are not for/);
  });
});

interface Variant {
  readonly softcap?: number;
  readonly causal?: boolean;
  readonly rotary: boolean;
}

/** Self-attention by loops. */
function reference(
  x: ExactTensor,
  qkv: ExactTensor,
  out: ExactTensor,
  heads: number,
  { softcap, causal, rotary }: Variant,
): number[] {
  const [batch, length, width] = x.shape as [number, number, number];
  const depth = width / heads;
  const rows = rowsOf(x);
  const weights = rowsOf(qkv);
  const result: number[] = [];
  for (const b of range(batch)) {
    const part = (which: number, h: number, l: number): number[] =>
      range(depth).map((d) =>
        dot(rows[b * length + l] as number[], weights[which * width + h * depth + d] as number[]),
      );
    const turned = (which: number, h: number, l: number): number[] =>
      rotary ? rotated(part(which, h, l), l) : part(which, h, l);
    for (const l of range(length)) {
      const mixed = range(heads).flatMap((h) => {
        const scores = range(length).map((m) => {
          const raw = dot(turned(0, h, l), turned(1, h, m)) / Math.sqrt(depth);
          if (causal === true && m > l) return -Infinity;
          return softcap === undefined ? raw : softcap * Math.tanh(raw / softcap);
        });
        const top = Math.max(...scores);
        const exponentials = scores.map((s) => Math.exp(s - top));
        const sum = exponentials.reduce((s, e) => s + e, 0);
        return range(depth).map((d) =>
          exponentials.reduce((s, e, m) => s + (e / sum) * (part(2, h, m)[d] as number), 0),
        );
      });
      for (const row of rowsOf(out)) result.push(dot(mixed, row));
    }
  }
  return result;
}

describe("self-attention", () => {
  const [x, qkv, out] = [randomFloats(2, 5, 12), randomFloats(36, 12), randomFloats(12, 12)];
  const variants: Variant[] = [
    { rotary: false },
    { rotary: true },
    { rotary: true, softcap: 1.5 },
    { rotary: true, causal: true },
    { rotary: false, softcap: 0.5, causal: true },
  ];

  it.each(variants)("agrees with loops: %j", (variant) => {
    const { rotary, ...options } = variant;
    const y = evaluate({ x, params: { qkv: { weight: qkv }, out: { weight: out } } }, (t) =>
      nn.selfAttention(t.params, t.x, {
        heads: 3,
        ...options,
        ...(rotary ? { rotary: nn.rotaryTables({ length: 5, depth: 4 }) } : {}),
      }),
    );
    expect(y.shape).toEqual([2, 5, 12]);
    expect(distance(y.data, reference(x, qkv, out, 3, variant))).toBeLessThan(1e-13);
  });

  it("does not see the order of positions without rotation, and does with it", () => {
    const params = { qkv: { weight: qkv }, out: { weight: out } };
    const reversed = floats(
      [2, 5, 12],
      range(2).flatMap((b) => range(5).flatMap((l) => rowsOf(x)[b * 5 + 4 - l] as number[])),
    );
    const attend = (input: ExactTensor, rotary: boolean): number[][] =>
      rowsOf(
        evaluate({ x: input, params }, (t) =>
          nn.selfAttention(t.params, t.x, {
            heads: 2,
            ...(rotary ? { rotary: nn.rotaryTables({ length: 5, depth: 6 }) } : {}),
          }),
        ),
      );
    const flip = (rows: readonly number[][]): number[] =>
      range(2).flatMap((b) => range(5).flatMap((l) => rows[b * 5 + 4 - l] as number[]));
    expect(distance(attend(x, false).flat(), flip(attend(reversed, false)))).toBeLessThan(1e-13);
    expect(distance(attend(x, true).flat(), flip(attend(reversed, true)))).toBeGreaterThan(1e-3);
  });

  it("splits and merges heads of any leading axes", () => {
    const projected = randomFloats(2, 2, 3, 12);
    const { q, merged } = evaluate({ projected }, (t) => {
      const parts = nn.splitQkv(t.projected, 2);
      return { q: parts[0], merged: parts.map(nn.mergeHeads) };
    });
    expect(q.shape).toEqual([2, 2, 2, 3, 2]);
    merged.forEach((part, i) =>
      expect(rowsOf(part)).toEqual(rowsOf(projected).map((row) => row.slice(4 * i, 4 * i + 4))),
    );
    expect(() => evaluate({ projected }, (t) => nn.splitQkv(t.projected, 5))).toThrow(
      /width 4 does not divide into 5 heads/,
    );
  });

  it("makes parameters without biases, or with them", () => {
    const plain = constants(() => nn.initAttention(random.key(0), { width: 8 }));
    expect([plain.qkv.weight.shape, plain.out.weight.shape, "bias" in plain.qkv]).toEqual([
      [24, 8],
      [8, 8],
      false,
    ]);
    expect(
      constants(() => nn.initAttention(random.key(0), { width: 8, bias: true })).qkv.bias?.shape,
    ).toEqual([24]);
  });
});
