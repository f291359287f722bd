/**
 * A WebGPU device that is destroyed in the middle of a training: before a step, in it, while its loss is read, in the validation and
 * wherever else the device is used. The training ends with the bytes of one that nothing disturbed. What the trainer does otherwise is
 * in lost-device.test.ts, which needs no GPU.
 */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { ReopenableDevice } from "../../../src/runtime/reopenable.ts";
import type { PhaseName } from "../../../src/runtime/training/subject.ts";
import type { TrainingHooks } from "../../../src/runtime/training/trainer.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { openNodeGpu } from "../../../src/runtime/webgpu/node.ts";
import { differences, newRun, tinyConfig, trained } from "../../support/tiny-training.ts";
import type { Trained } from "../../support/tiny-training.ts";

// A software adapter on a busy machine is slow.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const config = tinyConfig(14, 12);
let undisturbed: Trained;
beforeAll(async () => {
  const device = new WebGpuDevice(await openNodeGpu());
  console.log(`WebGPU adapter of these tests: ${device.describe()}.`);
  undisturbed = await trained(device, await newRun(config));
  await device.dispose();
});

/** When a device is destroyed, counted from the end of a step. */
const MOMENTS = {
  /** At once: the next step, the validation or the reading of the weights finds it gone. */
  "after it": 0,
  /** As soon as the next run is submitted. */
  "in the next run": 1,
  /** As soon as the copies that are read back are submitted. */
  "in the next read": 2,
} as const;

interface Loss {
  readonly phase: PhaseName;
  readonly step: number;
  readonly when: keyof typeof MOMENTS | "while its state is saved" | "at the end of the phase";
}

/** A device that is destroyed at each of some moments. */
class Destroyed {
  readonly opened: WebGpuDevice[] = [];
  /** Moments that are still to come, each for one loss. */
  readonly #losses: Loss[];
  /** Submits until the device is destroyed. */
  #left = Infinity;
  #gone = false;
  #last: Pick<Loss, "phase" | "step"> | undefined;

  constructor(losses: readonly Loss[]) {
    this.#losses = [...losses];
  }

  readonly open = async (): Promise<WebGpuDevice> => {
    const device = new WebGpuDevice(await openNodeGpu());
    const { queue } = device.context.gpu.device;
    const submit = queue.submit.bind(queue);
    queue.submit = (buffers) => {
      submit(buffers);
      if (--this.#left === 0) this.#destroy();
    };
    this.#left = Infinity;
    this.opened.push(device);
    this.#gone = false;
    return device;
  };

  get hooks(): Partial<TrainingHooks> {
    return {
      step: (phase, step) => {
        this.#last = { phase, step };
        for (const [when, submits] of Object.entries(MOMENTS)) {
          if (!this.#take(when as Loss["when"])) continue; // a key of it
          if (submits === 0) this.#destroy();
          else this.#left = submits;
        }
      },
      // It is asked right before a state is saved.
      stopped: () => {
        if (this.#take("while its state is saved")) this.#left = 1;
        return false;
      },
      end: () => void (!this.#gone && this.#take("at the end of the phase") && this.#destroy()),
    };
  }

  get left(): readonly Loss[] {
    return this.#losses;
  }

  #take(when: Loss["when"]): boolean {
    const at = this.#losses.findIndex(
      (loss) => loss.when === when && loss.phase === this.#last?.phase && loss.step === this.#last.step,
    );
    if (at >= 0) this.#losses.splice(at, 1);
    return at >= 0;
  }

  #destroy(): void {
    this.#gone = true;
    this.opened.at(-1)?.context.gpu.device.destroy();
  }
}

/** Trains through the losses, and compares. @returns how it went on after each */
async function survives(losses: readonly Loss[]): Promise<readonly string[]> {
  const destroyed = new Destroyed(losses);
  const device = await ReopenableDevice.open(destroyed.open, { pause: 0 });
  const one = await trained(device, await newRun(config), destroyed.hooks);
  await device.dispose();
  const what = JSON.stringify(losses);
  expect(destroyed.left, `not reached of ${what}`).toEqual([]);
  expect(one.notes, what).toHaveLength(losses.length);
  expect(differences(one, undisturbed), what).toEqual([]);
  expect(destroyed.opened.map(({ closed }) => closed)).not.toContain(false);
  return one.notes.map((note) => {
    const [, how] = /^The device was lost \(.+\); (.+) on webgpu, opened again\.$/.exec(note) ?? [];
    return how ?? note;
  });
}

describe("a WebGPU device that is destroyed while it trains", () => {
  it("at random steps of both phases, in them and between them", async () => {
    const random = (below: number): number => Math.floor(Math.random() * below);
    const moments = Object.keys(MOMENTS) as (keyof typeof MOMENTS)[];
    /** One of the steps from `first` on. */
    const loss = (phase: PhaseName, first: number): Loss => ({
      phase,
      step: first + random(4),
      when: moments[random(3)] as Loss["when"],
    });
    const how = await survives([loss("flm", 0), loss("flm", 4), loss("flm", 8), loss("fmlm", 0), loss("fmlm", 4)]); // prettier-ignore
    for (const line of how) expect(line).toMatch(/^(going on from step \d+ of FM?LM|starting FM?LM over)$/);
  });

  it("in a validation, while a state is saved, between the phases, and while the last weights are read", async () => {
    const [flm, fmlm] = [config.flm.steps - 1, config.fmlm.steps - 1];
    const how = await survives([
      { phase: "flm", step: 2, when: "while its state is saved" },
      { phase: "flm", step: flm, when: "in the next read" },
      { phase: "flm", step: flm, when: "at the end of the phase" },
      { phase: "fmlm", step: fmlm, when: "in the next run" },
    ]);
    expect(how).toEqual([
      "starting FLM over",
      `going on from step ${flm} of FLM`,
      "starting FMLM over",
      `going on from step ${fmlm} of FMLM`,
    ]);
  });

  it("each time at once is an error, and the run begins when there is a sound device", async () => {
    const run = await newRun(config);
    const opened: WebGpuDevice[] = [];
    const device = await ReopenableDevice.open(
      async () => {
        const one = new WebGpuDevice(await openNodeGpu());
        one.context.gpu.device.destroy();
        opened.push(one);
        return one;
      },
      { pause: 0 },
    );
    const error = await trained(device, run).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({ exitCode: 1 });
    expect((error as Error).message).toMatch(
      /^The webgpu device was lost 3 times in a row, the last time with this reason: .+\. What was saved is kept: go on with --resume /,
    );
    expect(opened).toHaveLength(3);
    await device.dispose();

    const sound = new WebGpuDevice(await openNodeGpu());
    expect(differences(await trained(sound, run), undisturbed)).toEqual([]);
    await sound.dispose();
  });
});
