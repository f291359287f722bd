/** Weights by the official names: both ways, sizes from shapes, and one clear sentence for weights that do not fit. */
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import {
  CheckpointError,
  ditConfigOf,
  ditFromTensors,
  ditToTensors,
} from "../../../src/models/networks/checkpoint.ts";
import { officialParameters, ROTARY_BUFFER } from "../../../src/models/networks/official-names.ts";
import { readSafetensors } from "../../../src/runtime/files/safetensors.ts";
import type { StoredTensor } from "../../../src/runtime/safetensors/tensor.ts";
import { readFileSync } from "node:fs";

const golden = (name: string): string => fileURLToPath(new URL(`../../golden/tiny/${name}`, import.meta.url));
const files = new Map<string, ReadonlyMap<string, StoredTensor>>();
const named = (name: string): ReadonlyMap<string, StoredTensor> => {
  const tensors = files.get(name);
  if (tensors === undefined) throw new Error(`${name} was not read`);
  return tensors;
};

beforeAll(async () => {
  for (const name of ["weights", "weights.fmlm", "weights.ar"])
    files.set(name, (await readSafetensors(golden(`${name}.safetensors`))).tensors);
});

const message = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    if (error instanceof CheckpointError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("official weights", () => {
  it("sizes come from the shapes", () => {
    const sizes = { vocab: 11, length: 6, width: 16, depth: 2, heads: 2, conditioning: 8, mlpRatio: 4 };
    expect(ditConfigOf(named("weights"), { length: 6, heads: 2 })).toEqual({ ...sizes, targetTime: false });
    expect(ditConfigOf(named("weights.fmlm"), { length: 6 })).toEqual({ ...sizes, targetTime: true });
  });

  it("names are in the order of the authors' named_parameters()", () => {
    const { config } = JSON.parse(readFileSync(golden("cases.json"), "utf8"));
    for (const [kind, file] of [
      ["flm", "weights"],
      ["fmlm", "weights.fmlm"],
    ] as const) {
      const sizes = ditConfigOf(named(file), { length: 6 });
      expect(officialParameters(sizes).map(({ name }) => name)).toEqual(
        config.parameter_order[kind].map((name: string) => `backbone.${name}`),
      );
    }
  });

  it.each(["weights", "weights.fmlm"])(
    "%s: to the tree and back gives the same tensors, without the buffer",
    (file) => {
      const tensors = named(file);
      const sizes = ditConfigOf(tensors, { length: 6 });
      const back = new Map(ditToTensors(sizes, ditFromTensors(sizes, tensors)));
      expect(back.size).toBe(tensors.size - 1);
      for (const [name, tensor] of back) expect(tensor).toBe(tensors.get(name));
    },
  );

  it("names of a compiled module are the same names, in any order", () => {
    const tensors = named("weights.fmlm");
    const sizes = ditConfigOf(tensors, { length: 6 });
    const compiled = new Map(
      [...tensors]
        .reverse()
        .map(([name, tensor]) => [name.replace("backbone.", "backbone._orig_mod."), tensor]),
    );
    expect(ditFromTensors(sizes, compiled)).toEqual(ditFromTensors(sizes, tensors));
    expect(ditConfigOf(compiled, { length: 6 })).toEqual(sizes);
    expect(message(() => ditFromTensors(sizes, new Map([...tensors, ...compiled])))).toContain("twice");
  });

  it("works with leaves of any kind", () => {
    const sizes = { vocab: 3, width: 4, depth: 11, conditioning: 2 };
    const leaves = new Map(
      officialParameters(sizes).map(({ name, shape }) => [name, { shape, dtype: "whatever", name }]),
    );
    const tree = ditFromTensors(sizes, leaves);
    expect(tree.blocks).toHaveLength(11);
    expect(tree.blocks[10]?.attention.out.weight.name).toBe("backbone.blocks.10.attn_out.weight");
    expect(ditToTensors(sizes, tree).map(([name]) => name)).toEqual([...leaves.keys()]);
  });
});

it("a head of another size than the vocabulary is told by its shape", () => {
  const sizes = { vocab: 3, width: 4, depth: 1, conditioning: 2, outputs: 4 };
  const leaves = new Map(officialParameters(sizes).map(({ name, shape }) => [name, { shape, dtype: "F32" }]));
  expect(leaves.get("backbone.output_layer.linear.weight")?.shape).toEqual([4, 4]);
  expect(ditConfigOf(leaves, { length: 6, heads: 2 })).toMatchObject(sizes);
  expect(message(() => ditFromTensors({ ...sizes, outputs: 3 }, leaves))).toContain(
    "[4, 4] instead of [3, 4]",
  );
});

describe("weights that do not fit", () => {
  it("every missing, unknown and misshapen tensor is named", () => {
    const tensors = named("weights");
    const sizes = ditConfigOf(tensors, { length: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...officialParameters(sizes)), ({ name, shape }) => {
        const less = new Map(tensors);
        less.delete(name);
        expect(message(() => ditFromTensors(sizes, less))).toContain(`missing: ${name}`);
        const more = new Map(tensors).set("backbone.extra", {
          dtype: "F32",
          shape: [1],
          data: Float32Array.of(1),
        });
        expect(message(() => ditFromTensors(sizes, more))).toContain("not known: backbone.extra");
        const other = new Map(tensors).set(name, {
          dtype: "F32",
          shape: [...shape, 1],
          data: Float32Array.of(1),
        });
        expect(message(() => ditFromTensors(sizes, other))).toContain(
          `${name} is [${[...shape, 1].join(", ")}] instead of [${shape.join(", ")}]`,
        );
      }),
    );
  });

  it("a student's weights are not a teacher's, and the other way around", () => {
    const [flm, fmlm] = [named("weights"), named("weights.fmlm")];
    expect(message(() => ditFromTensors(ditConfigOf(flm, { length: 6 }), fmlm))).toBe(
      "The weights are not those of this network (vocabulary 11, width 16, 2 blocks, one time): not known: " +
        "backbone.sigma_map_prime.mlp.0.weight, backbone.sigma_map_prime.mlp.0.bias, backbone.sigma_map_prime.mlp.2.weight, backbone.sigma_map_prime.mlp.2.bias.",
    );
    expect(message(() => ditFromTensors(ditConfigOf(fmlm, { length: 6 }), flm))).toContain(
      "missing: backbone.sigma_map_prime.mlp.0.weight",
    );
  });

  it("weights of another network, or of other heads, are not taken for a DiT", () => {
    expect(message(() => ditConfigOf(named("weights.ar"), { length: 6 }))).toBe(
      "These are not the weights of a DiT: backbone.sigma_map.mlp.2.weight is missing.",
    );
    expect(message(() => ditConfigOf(named("weights"), { length: 6, heads: 4 }))).toContain(
      "those of 2 heads",
    );
    const bare = new Map([...named("weights")].filter(([name]) => name !== ROTARY_BUFFER));
    expect(message(() => ditConfigOf(bare, { length: 6 }))).toContain("do not tell the number of heads");
    expect(ditConfigOf(bare, { length: 6, heads: 4 }).heads).toBe(4);
    expect(message(() => ditConfigOf(new Map(), { length: 6 }))).toContain(
      "backbone.vocab_embed.embedding is missing",
    );
  });

  it("a huge block number does not make a huge network", () => {
    const odd = new Map(named("weights")).set("backbone.blocks.1000000000.norm1.weight", {
      dtype: "F32",
      shape: [16],
      data: new Float32Array(16),
    });
    expect(ditConfigOf(odd, { length: 6 }).depth).toBe(3);
  });
});

it("learned positions are not written: the authors have no name for them", () => {
  const sizes = { vocab: 3, width: 4, depth: 1, conditioning: 2 };
  const leaves = new Map(officialParameters(sizes).map(({ name, shape }) => [name, { shape, dtype: "F32" }]));
  const placed = { ...ditFromTensors(sizes, leaves), position: { shape: [6, 4], dtype: "F32" } };
  expect(message(() => ditToTensors(sizes, placed))).toContain("a vector for every position");
});
