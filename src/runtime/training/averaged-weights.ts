/**
 * The averaged weights of a training state as a tree on its device, for what runs the network with them: validation and samples.
 * Consumed by trainer.ts.
 */
import { unpackWeights } from "../../models/training/programs.ts";
import type { Fn } from "../../dsl/index.ts";
import { compile, disposeTree } from "../compile.ts";
import type { Device } from "../device.ts";
import type { Phase } from "./phases.ts";
import type { DeviceState } from "./state-files.ts";

export interface AveragedWeights {
  /** Calls `work` with the averaged weights of a state, which live as long as the call. */
  use<T>(state: DeviceState, work: (weights: unknown) => Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

/** Compiles what unpacks the weights of a phase. */
export async function averagedWeights(
  device: Device,
  { network, learned }: Pick<Phase, "network" | "learned">,
): Promise<AveragedWeights> {
  const program = await compile(
    unpackWeights(network, learned) as unknown as Fn<Record<string, never>, Record<string, never>>,
    { device, name: "the averaged weights" },
  );
  return {
    async use(state, work) {
      const weights = await program.run({ weights: state.ema } as never);
      try {
        return await work(weights);
      } finally {
        disposeTree(weights);
      }
    },
    dispose: () => program.dispose(),
  };
}
