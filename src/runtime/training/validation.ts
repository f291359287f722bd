/**
 * The loss on text that is not trained on: a few fixed batches of the validation split, the same every time. Consumed by
 * trainer.ts.
 */
import type { Fn } from "../../dsl/index.ts";
import { flmDraw, stepKey } from "../../models/training/batches.ts";
import { flowDraw, flowValidation } from "../../models/training/declared.ts";
import { flmValidation } from "../../models/training/programs.ts";
import { compile } from "../compile.ts";
import type { DeviceValue } from "../device.ts";
import { paramsSpec } from "./phases.ts";
import type { Phase, RunContext } from "./phases.ts";

const VALIDATION_BATCHES = 4;

/** The number in a scalar of the device, which is disposed of. */
export async function scalarOf(value: DeviceValue): Promise<number> {
  const { data } = await value.read();
  value.dispose();
  return data[0] ?? Number.NaN;
}

export interface Validator {
  /** The mean loss of given weights on the same few batches of the validation split every time. */
  readonly loss: (params: unknown) => Promise<number>;
  dispose(): Promise<void>;
}

/** Compiles the validation loss of a phase. */
export async function validator(
  { run, text, device, subject }: RunContext,
  phase: Phase,
): Promise<Validator> {
  const { flow, published } = subject;
  const spec = paramsSpec(phase.options, "flm") as never; // of whatever network
  const program = await compile(
    (published
      ? flmValidation(phase.options, spec)
      : flowValidation(flow, phase.options, spec)) as unknown as Fn<
      Record<string, never>,
      Record<string, never>
    >,
    { device, name: "the validation loss" },
  );
  const { validation } = text.streams;
  const { length } = phase.options.network;
  const { batch } = phase.config;
  const batches = Array.from({ length: VALIDATION_BATCHES }, (_, i) => {
    const key = stepKey(run.config.seed, "validation", i);
    return published
      ? flmDraw(validation, length, batch, flow.clock, key)
      : flowDraw(flow, validation, length, batch, key);
  });
  const loss = async (params: unknown): Promise<number> => {
    let total = 0;
    for (const batch of batches) {
      const output = (await program.run({ params, ...batch } as never)) as unknown as {
        readonly loss: DeviceValue;
      };
      total += await scalarOf(output.loss);
    }
    return total / batches.length;
  };
  return { loss, dispose: () => program.dispose() };
}
