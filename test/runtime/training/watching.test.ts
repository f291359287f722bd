/**
 * Texts that are watched while they form, of every kind of declaration that a run trains: the watched text is the one that the run's own
 * sampler writes from the same key, states move as the sampler's numbers say, and what is told of a distribution is one distribution.
 */
import { describe, expect, it } from "vitest";
import { fold, key } from "../../../src/models/flow/host-random.ts";
import { keyData } from "../../../src/models/training/batches.ts";
import { saysTokens, watchingProgram } from "../../../src/models/training/watching.ts";
import { compile } from "../../../src/runtime/compile.ts";
import type { DeviceValue } from "../../../src/runtime/device.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { openModelSampler, ownDrawing } from "../../../src/runtime/training/model-sampler.ts";
import { publishedSubject } from "../../../src/runtime/training/subject.ts";
import type { Subject } from "../../../src/runtime/training/subject.ts";
import { declared, LENGTH, modelOf, VOCAB, WIDTH } from "../../support/declared-model.ts";
import { distance } from "../../support/evaluate.ts";

const STEPS = 4;
const device = openInterpreter();
const published = publishedSubject(VOCAB);

describe.each<readonly [string, Subject, "flm" | "fmlm", number]>([
  ["FLM", published, "flm", STEPS],
  ["FMLM in one jump", published, "fmlm", 1],
  ["FMLM with fresh noise", published, "fmlm", STEPS],
  ["a flow on the simplex", declared("simplex-flow"), "flm", STEPS],
  ["a flow of velocities", declared("velocity-flow"), "flm", STEPS],
  ["a flow map of velocities", declared("mean-flow"), "fmlm", 2],
  ["a flow in a learned embedding", declared("embedding-flow"), "flm", STEPS],
  ["its flow map", declared("embedding-flow-map"), "fmlm", 1],
  ["masked noise", declared("masked-hybrid"), "flm", STEPS],
  ["masks", declared("masked-diffusion"), "flm", LENGTH],
])("%s, watched", (_, subject, phase, steps) => {
  it("writes what its sampler writes, and tells how", async () => {
    const { model, params } = modelOf(subject, phase);
    const { flow } = subject;
    const own = await openModelSampler(device, model);
    const prepared = await own.prepare(steps);
    const from = key(7);
    const drawn = await prepared.sample(params, 1, from);
    const schedule = ownDrawing(model, steps) as Parameters<typeof watchingProgram>[2]["schedule"]; // none of these is adaptive
    const program = watchingProgram(model.options, model.spec as never, { flow, schedule, shown: VOCAB });
    const watching = await compile(program as never, { device });
    const output = (await watching.run({ params, keys: keyData(fold(from, 0)) } as never)) as Readonly<Record<string, DeviceValue>>; // prettier-ignore
    const numbers = async (name: string): Promise<readonly number[]> =>
      Array.from((await output[name]?.read())?.data ?? [], Number);
    const tokens = await numbers("tokens");
    expect(tokens).toEqual([...drawn.tokens]);

    // States are linear in what is seen of them, so their pictures move as they do.
    const [place, expected, end] = [await numbers("place"), await numbers("expected"), await numbers("end")];
    const size = LENGTH * WIDTH;
    const at = (all: readonly number[], i: number): readonly number[] => all.slice(i * size, (i + 1) * size);
    expect(place).toHaveLength(steps * size);
    if ("calls" in schedule)
      schedule.calls.forEach(({ state, denoiser, noise }, i) => {
        if (noise !== 0) return;
        const moved = at(place, i).map((x, j) => state * x + denoiser * (at(expected, i)[j] ?? NaN));
        expect(distance(i === steps - 1 ? end : at(place, i + 1), moved)).toBeLessThan(1e-4);
      });
    else {
      // What is drawn is where the states arrive.
      const table = await numbers("table");
      const rows = tokens.flatMap((id) => table.slice(id * WIDTH, (id + 1) * WIDTH));
      expect(distance(end, rows)).toBeLessThan(1e-4);
    }

    const said = await numbers("said");
    expect(said.slice(-LENGTH)).toEqual(tokens);
    const [top, probability, entropy] = [await numbers("top"), await numbers("probability"), await numbers("entropy")]; // prettier-ignore
    if (!saysTokens(flow)) expect([top, probability, entropy]).toEqual([[], [], []]); // of which nothing follows
    entropy.forEach((nats, i) => {
      const [ids, shares] = [top.slice(i * VOCAB, (i + 1) * VOCAB), probability.slice(i * VOCAB, (i + 1) * VOCAB)]; // prettier-ignore
      expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: VOCAB }, (__, id) => id));
      expect(shares).toEqual(shares.toSorted((a, b) => b - a));
      expect(shares.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
      expect(nats).toBeCloseTo(
        shares.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0),
        5,
      );
      // The most probable token is what follows, where tokens are not drawn.
      if ("calls" in schedule) expect(ids[0]).toBe(said[i]);
    });
    await watching.dispose();
    await prepared.dispose();
    await own.dispose();
  });
});

it("says of a token that is drawn and finished that it is certain", async () => {
  const subject = declared("masked-diffusion");
  const { model, params } = modelOf(subject, "flm");
  const program = watchingProgram(model.options, model.spec as never, { flow: subject.flow, schedule: { draws: LENGTH }, shown: 1 }); // prettier-ignore
  const watching = await compile(program as never, { device });
  const output = (await watching.run({ params, keys: keyData(fold(key(3), 0)) } as never)) as Readonly<Record<string, DeviceValue>>; // prettier-ignore
  const entropy = Array.from((await output["entropy"]?.read())?.data ?? [], Number);
  // Every other position first, one in a step.
  const finished = entropy.map((nats) => nats === 0);
  expect(finished).toEqual([false, false, false, true, false, false, true, false, true]);
});
