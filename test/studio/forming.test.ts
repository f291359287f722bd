/**
 * How the engine shows a text forming, by the kind of what was declared: probabilities or the nearest words, a way through a plane or why there
 * is none, and what cannot be watched. That the text is the sampler's is tested in test/runtime/training/watching.test.ts.
 */
import { expect, it } from "vitest";
import type { Vocabulary } from "../../src/models/data/index.ts";
import { decode } from "../../src/models/data/index.ts";
import { flow } from "../../src/models/flow/flow.ts";
import { linear } from "../../src/models/flow/interpolant.ts";
import { blockCausal, positioned } from "../../src/models/flow/schedule.ts";
import { UserError } from "../../src/runtime/files/errors.ts";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";
import { openModelSampler } from "../../src/runtime/training/model-sampler.ts";
import { publishedSubject, subjectOf } from "../../src/runtime/training/subject.ts";
import type { PhaseName, Subject } from "../../src/runtime/training/subject.ts";
import { textsKey } from "../../src/runtime/training/texts.ts";
import { openFormer, unwatched } from "../../studio/src/engine/forming.ts";
import { declared, LENGTH, modelOf, VOCAB } from "../support/declared-model.ts";

const device = openInterpreter();
const vocabulary: Vocabulary = { kind: "chars", tokens: [..."abcdefghi"] } as never; // all that is read of it

async function formed(subject: Subject, phase: PhaseName, steps: number) {
  const { model, params } = modelOf(subject, phase);
  const former = await openFormer(device, model, vocabulary, steps);
  const own = await openModelSampler(device, model);
  const prepared = await own.prepare(steps);
  const { tokens } = await prepared.sample(params, 1, textsKey(3));
  const forming = await former.form(params, 3);
  expect(forming.text).toBe(decode(vocabulary, tokens));
  expect(forming.moments).toHaveLength(steps + 1);
  expect(forming.moments.at(-1)?.tau).toBe(1);
  // What is seen last is the text.
  expect(
    forming.moments
      .at(-1)
      ?.top.map(([best]) => best?.token)
      .join(""),
  ).toBe(forming.text);
  await former.dispose();
  await prepared.dispose();
  await own.dispose();
  return forming;
}

it("shows probabilities and the way of a state to where it is expected", async () => {
  const { about, unmoved, moments } = await formed(publishedSubject(VOCAB), "flm", 2);
  expect([about, unmoved]).toEqual([[], undefined]);
  for (const { top, entropy, plane } of moments) {
    expect(top.map((shares) => shares.length)).toEqual(Array<number>(LENGTH).fill(8));
    expect([entropy?.length, plane?.length]).toEqual([LENGTH, LENGTH]);
  }
  // On the straight line the first of two steps goes a part of the way, and the last one all of it.
  const [first, second, end] = moments.map(({ plane }) => plane?.[0] ?? { x: NaN, y: NaN, dx: NaN, dy: NaN });
  if (first === undefined || second === undefined || end === undefined) throw new Error("three moments");
  const share = (second.x - first.x) / first.dx;
  expect(share).toBeGreaterThan(0);
  expect(share).toBeLessThan(1);
  expect(second.y).toBeCloseTo(first.y + share * first.dy, 4);
  expect([end.x, end.y, end.dx, end.dy]).toEqual([
    expect.closeTo(second.x + second.dx, 4),
    expect.closeTo(second.y + second.dy, 4),
    0,
    0,
  ]);
});

it("shows the nearest words of a network that says points, without probabilities", async () => {
  const { about, moments } = await formed(declared("velocity-flow"), "flm", 2);
  expect(about).toEqual([
    'The network of "velocity flow" predicts a velocity, a point and no distribution: the word is the one nearest to where it says that the state goes.',
  ]);
  for (const { top, entropy, plane } of moments) {
    expect(top.map((words) => words.length)).toEqual([1, 1, 1]);
    expect([entropy, plane?.length]).toEqual([undefined, LENGTH]);
  }
});

it("leaves the plane out where tokens are masks, and says why", async () => {
  const { about, unmoved, moments } = await formed(declared("masked-diffusion"), "flm", LENGTH);
  expect(about).toEqual([]);
  expect(unmoved).toMatch(/^States of "masked diffusion in order" have no way through a plane: /);
  expect(moments.map(({ plane }) => plane)).toEqual(Array(LENGTH + 1).fill(undefined));
  // Every other position first. A word that was drawn is certain.
  const decided = moments.map(({ entropy = [] }) => entropy.map((nats) => nats === 0));
  expect(decided).toEqual([
    [false, false, false],
    [true, false, false],
    [true, false, true],
    [true, true, true],
  ]);
});

it("says where words are drawn on the way", async () => {
  const { about, moments } = await formed(declared("masked-hybrid"), "flm", 2);
  expect(about).toEqual([expect.stringMatching(/^Words are drawn on the way: /)]);
  expect(moments.every(({ plane }) => plane?.length === LENGTH)).toBe(true);
});

it("cannot be had of a flow whose sampler keeps no trace, in one sentence", async () => {
  const timed = flow({
    name: "one by one",
    predicts: "clean point",
    interpolant: positioned(linear, blockCausal({ blocks: LENGTH }), { length: LENGTH }),
  });
  const sentence =
    'How a text forms cannot be watched here: "one by one" gives every token a time of its own and predicts a clean point, and the sampler of such flows keeps no trace of its steps.';
  expect(unwatched(timed)).toBe(sentence);
  const { model } = modelOf(subjectOf(timed), "flm");
  const opening = openFormer(device, model, vocabulary, 2);
  await expect(opening).rejects.toThrow(UserError);
  await expect(opening).rejects.toThrow(sentence);
});
