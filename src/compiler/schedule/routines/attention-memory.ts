/**
 * The workgroup memory of a kernel of attention: arrays that are declared where they are first used, as long as attention-tile.ts counts
 * them. Consumed by attention-writer.ts.
 */
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import { memoryOf } from "./attention-tile.ts";
import type { FlashDemand, FlashTile } from "./attention-tile.ts";

export class FlashMemory {
  readonly #builder: KernelBuilder;
  readonly #lengths: ReturnType<typeof memoryOf>;
  readonly #arrays = new Map<string, number>();

  constructor(builder: KernelBuilder, tile: FlashTile, demand: FlashDemand) {
    [this.#builder, this.#lengths] = [builder, memoryOf(tile, demand)];
  }

  #array(name: string, length: number): number {
    const known = this.#arrays.get(name);
    if (known !== undefined) return known;
    const array = this.#builder.shared({ type: "f32", length });
    this.#arrays.set(name, array);
    return array;
  }

  /** Parts of the matrices whose rows are multiplied with each other. */
  get staged(): number {
    return this.#array("staged", this.#lengths.staged);
  }

  /** Weights of a block, of one kind. */
  weights(number: number): number {
    return this.#array(`weights ${number}`, this.#lengths.weights[number] as number); // the demand counts them
  }

  /** Rows that weights are multiplied with, of one matrix. */
  values(number: number): number {
    return this.#array(`values ${number}`, this.#lengths.values[number] as number); // the demand counts them
  }

  /** A number of each lane, to be combined. */
  get combined(): number {
    return this.#array("combined", this.#lengths.combined);
  }

  /** A word, loaded. */
  word(array: number, at: Expr): Expr {
    return this.#builder.let({ kind: "shared", type: "f32", array, at });
  }
}
