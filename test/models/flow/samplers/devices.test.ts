/** A sampling is one program, and devices run it: the tokens are the interpreter's, and states agree to the precision of f32. */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../../../src/compiler/interpret/interpret.ts";
import { toExact } from "../../../../src/compiler/host-tensor.ts";
import { constant, fn, trace, u32 } from "../../../../src/dsl/index.ts";
import { uniformClock } from "../../../../src/models/flow/clock.ts";
import { trigonometric } from "../../../../src/models/flow/interpolant.ts";
import { sampleAdaptively } from "../../../../src/models/flow/samplers/adaptive.ts";
import { bridge } from "../../../../src/models/flow/samplers/bridge.ts";
import { heun } from "../../../../src/models/flow/samplers/integrators.ts";
import { gammaResampling } from "../../../../src/models/flow/samplers/jumps.ts";
import { shaped } from "../../../../src/models/flow/samplers/posterior.ts";
import { sample } from "../../../../src/models/flow/samplers/sample.ts";
import type { Schedule } from "../../../../src/models/flow/samplers/schedule.ts";
import { compile } from "../../../../src/runtime/compile.ts";
import { listDevices, openDevice } from "../../../../src/runtime/devices.ts";
import { distance, list } from "../../../support/evaluate.ts";
import { exactDenoiser, keysOf, PHRASES, worldOf } from "./support.ts";

const COUNT = 6;
const COURSE = { interpolant: trigonometric, clock: uniformClock() };
const denoiser = exactDenoiser(PHRASES, trigonometric);
const keys = keysOf(31, COUNT);
const by = (schedule: Schedule) =>
  fn({ keys: u32(COUNT, 2) }, ({ keys: each }) => {
    const given = constant(
      Array.from({ length: COUNT }, (_, i) => [i === 0 ? 2 : -1, -1]).flat(),
      [COUNT, 2],
      "i32",
    );
    const cooled = shaped(denoiser, { temperature: 0.8, topP: 0.95 });
    const { state, tokens } = sample(cooled, schedule, { keys: each, world: worldOf(PHRASES), given });
    return { state, tokens };
  });
const programs = {
  Heun: by(heun(COURSE, 6, { end: 0.8 })),
  "γ-resampling": by(gammaResampling(COURSE, 4, { gamma: 0.7 })),
  bridge: by(bridge(COURSE, 6, { end: 0.8 })),
  adaptive: fn({ keys: u32(COUNT, 2) }, ({ keys: each }) => {
    const inputs = { keys: each, world: worldOf(PHRASES) };
    const { state, tokens } = sampleAdaptively(denoiser, COURSE, { tolerance: 0.1, shortest: 4 }, inputs);
    return { state, tokens };
  }),
};

const devices = (await listDevices()).filter(({ name }) => name !== "interpreter");
for (const { name, detail } of devices.filter(({ available }) => !available))
  console.log(`Sampling on ${name} is not tested: ${detail}`);

describe.each(devices.filter(({ available }) => available))("on $name", ({ name }) => {
  const opening = openDevice(name);
  afterAll(async () => (await opening).dispose());
  it.each(Object.entries(programs))("%s", async (_, program) => {
    const [state, tokens] = interpret(trace(program).program, [keys]).map(toExact);
    const compiled = await compile(program, { device: await opening });
    const found = await compiled.run({ keys: Uint32Array.from(list(keys)) });
    expect(Array.from((await found.tokens.read()).data)).toEqual(list(tokens as NonNullable<typeof tokens>));
    expect(
      distance(Array.from((await found.state.read()).data as Float32Array), state?.data as Float64Array),
    ).toBeLessThan(1e-4);
    await compiled.dispose();
  });
});
