/**
 * The sphere's maps against plain double precision, on three devices: for every angle, the ends included, values are as good as the
 * angle lets them be, derivatives are the closed form's, and nothing is NaN.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expandDims, f32, fn, full, grad, jvp, mul, sum } from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { cosineOf, sineOver } from "../../../../src/models/flow/sphere/arc.ts";
import { slerp, sphere } from "../../../../src/models/flow/sphere/geometry.ts";
import { compile } from "../../../../src/runtime/compile.ts";
import type { Compiled } from "../../../../src/runtime/compile.ts";
import { openDevice } from "../../../../src/runtime/devices.ts";
import type { Device } from "../../../../src/runtime/device.ts";
import { WebGpuDevice } from "../../../../src/runtime/webgpu/device.ts";
import { evaluate, floats, list } from "../../../support/evaluate.ts";
import { openTestGpu } from "../../../support/webgpu.ts";

const [ROWS, DIM] = [12, 4];

type Vector = readonly number[];
const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
const plus = (a: Vector, b: Vector, s: number): Vector => a.map((x, i) => x + s * (b[i] ?? 0));
const unit = (a: Vector): Vector => a.map((x) => x / Math.sqrt(dot(a, a)));

/** A great circle: where it begins, its direction, a direction across, how far it goes, and a share of it. */
interface Circle {
  readonly x: Vector;
  readonly along: Vector;
  readonly across: Vector;
  readonly angle: number;
  readonly share: number;
}

const coordinate = fc.double({ min: -1, max: 1, noNaN: true });
const vector = fc.array(coordinate, { minLength: DIM, maxLength: DIM });
const circle: fc.Arbitrary<Circle> = fc
  .record({
    vectors: fc.tuple(vector, vector, vector),
    angle: fc.oneof(
      fc.constantFrom(0, 1e-7, 1e-4, 0.03, Math.PI / 2, Math.PI - 0.03, Math.PI - 1e-4),
      fc.double({ min: 0, max: Math.PI, noNaN: true }),
    ),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ vectors: [a, b, c], angle, share }) => {
    // Offsets keep the three apart.
    const x = unit(plus(a, [3, 0, 0, 0], 1));
    const second = plus(b, [0, 3, 0, 0], 1);
    const along = unit(plus(second, x, -dot(second, x)));
    const third = plus(c, [0, 0, 3, 0], 1);
    const rest = plus(third, x, -dot(third, x));
    return { x, along, across: unit(plus(rest, along, -dot(rest, along))), angle, share };
  });
const circles = fc.array(circle, { minLength: ROWS, maxLength: ROWS });

const at = ({ x, along }: Circle, angle: number): Vector =>
  plus(x.map((v) => v * Math.cos(angle)), along, Math.sin(angle)); // prettier-ignore

/** Everything that is compared, as a program. */
const body = ({ x, y, w, share }: { x: Tensor; y: Tensor; w: Tensor; share: Tensor }) => ({
  log: sphere.log(x, y),
  middle: slerp(sphere, x, y, share),
  rate: jvp((to: Tensor) => sphere.log(x, to), [y], [w]).tangent,
  gradient: grad((to: Tensor) => sum(mul(slerp(sphere, x, to, share), w)) as Tensor)(y),
});
type Values = Readonly<Record<keyof ReturnType<typeof body>, readonly number[]>>;

const inputsOf = (list: readonly Circle[]) => ({
  x: list.flatMap(({ x }) => x),
  y: list.flatMap((each) => at(each, each.angle)),
  // Along the circle and across it.
  w: list.flatMap((each) =>
    plus(
      plus(
        each.x.map((v) => -v * Math.sin(each.angle)),
        each.along,
        Math.cos(each.angle),
      ),
      each.across,
      1,
    ),
  ),
  share: list.map(({ share }) => share),
});

/** Values of a run, row by row, against the closed forms. `rounding` is that of the device's numbers. */
function compare(list: readonly Circle[], values: Values, rounding: number): void {
  for (const numbers of Object.values(values)) expect(numbers.every(Number.isFinite)).toBe(true);
  const row = (numbers: readonly number[], i: number): Vector => numbers.slice(i * DIM, (i + 1) * DIM);
  const off = (a: Vector, b: Vector): number => Math.max(...a.map((x, i) => Math.abs(x - (b[i] ?? NaN))));
  for (const [i, each] of list.entries()) {
    const { angle, share } = each;
    // Inputs are off by a rounding, which near the antipode turns the direction by that over what is left.
    const turned = rounding / Math.max(rounding, Math.min(1, Math.PI - angle));
    expect(off(row(values.middle, i), at(each, share * angle))).toBeLessThan(8 * turned);
    expect(off(row(values.log, i), each.along.map((v) => v * angle))).toBeLessThan(16 * turned); // prettier-ignore
    // However near the antipode: that is where the other one of the log's two forms is off.
    const v = row(values.log, i);
    expect(Math.abs(Math.sqrt(dot(v, v)) - angle)).toBeLessThan(64 * rounding + 4 * turned ** 2);
    // Along the circle the log grows by as much, across it by θ/sin θ.
    if (Math.PI - angle < 0.02) continue;
    const across = angle < 1e-5 ? 1 : angle / Math.sin(angle);
    const wanted = plus(each.along, each.across, across);
    expect(off(row(values.rate, i), wanted)).toBeLessThan(32 * turned * across ** 2);
    // The middle moves along by its share, across by sin κθ/sin θ; both are seen in the direction w.
    const g = row(values.gradient, i);
    const end = plus(each.x.map((u) => -u * Math.sin(angle)), each.along, Math.cos(angle)); // prettier-ignore
    const aside = angle < 1e-5 ? share : Math.sin(share * angle) / Math.sin(angle);
    const slopes = [share * Math.cos((1 - share) * angle), aside];
    expect(off([dot(g, end), dot(g, each.across)], slopes)).toBeLessThan(32 * turned * across ** 2);
  }
}

it("in double precision, with derivatives", () => {
  fc.assert(
    fc.property(circles, (list_) => {
      const { x, y, w, share } = inputsOf(list_);
      const found = evaluate(
        {
          x: floats([ROWS, DIM], x),
          y: floats([ROWS, DIM], y),
          w: floats([ROWS, DIM], w),
          share: floats([ROWS, 1], share),
        },
        body,
      );
      const values = {
        log: list(found.log),
        middle: list(found.middle),
        rate: list(found.rate),
        gradient: list(found.gradient),
      };
      compare(list_, values, 2e-15);
    }),
    { numRuns: 30 },
  );
});

describe.each<[string, () => Promise<Device>]>([
  ["cpu", () => openDevice("cpu")],
  ["webgpu", async () => new WebGpuDevice(await openTestGpu())],
])("in single precision on %s", (_name, open) => {
  let device: Device;
  let compiled: Compiled<unknown, ReturnType<typeof body>>;
  beforeAll(async () => {
    device = await open();
    const spec = { x: f32(ROWS, DIM), y: f32(ROWS, DIM), w: f32(ROWS, DIM), share: f32(ROWS, 1) };
    compiled = (await compile(fn(spec, body), { device })) as unknown as typeof compiled; // inputs are plain arrays here
  });
  afterAll(() => device.dispose());

  it("as in double precision", async () => {
    await fc.assert(
      fc.asyncProperty(circles, async (list_) => {
        const outputs = await compiled.run(inputsOf(list_) as never);
        const read = async (name: keyof Values): Promise<number[]> =>
          Array.from((await outputs[name].read()).data, Number);
        const values = {
          log: await read("log"),
          middle: await read("middle"),
          rate: await read("rate"),
          gradient: await read("gradient"),
        };
        compare(list_, values, 3e-7);
      }),
      { numRuns: 8 },
    );
  });
});

it("sines and cosines of small angles have derivatives of second order", () => {
  const squares = [0, 1e-12, 1e-3, 0.5, 2];
  const n = squares.length;
  const found = evaluate(
    { w: floats([n], squares), one: floats([n], Array<number>(n).fill(1)) },
    ({ w, one }) => {
      const slope = (f: (x: Tensor) => Tensor) => (x: Tensor) => jvp(f, [x], [one]).tangent;
      return { sine: slope(slope(sineOver))(w), cosine: slope(slope(cosineOf))(w) };
    },
  );
  // By their power series: Σ (−1)ⁿ n(n − 1) wⁿ⁻²/(2n + 1)! and the same over (2n)!.
  const series = (w: number, first: number): number => {
    let [sum, factorial] = [0, 1];
    for (let k = 1; k <= 30; k++) {
      factorial *= k;
      const n = (k - first) / 2;
      if (Number.isInteger(n) && n >= 2) sum += ((-1) ** n * n * (n - 1) * w ** (n - 2)) / factorial;
    }
    return sum;
  };
  expect(list(found.sine)).toEqual(squares.map((w) => expect.closeTo(series(w, 1), 11)));
  expect(list(found.cosine)).toEqual(squares.map((w) => expect.closeTo(series(w, 0), 11)));
});

it("at coinciding and opposite vectors everything is finite, and has its limit", () => {
  const x = [0.6, 0, 0.8, 0];
  const found = evaluate(
    {
      x: floats([2, DIM], [...x, ...x]),
      y: floats([2, DIM], [...x, ...x.map((v) => -v)]),
      w: floats([2, DIM], [0, 1, 0, 2, 0, 1, 0, 2]),
      share: floats([2, 1], [0.5, 0.5]),
    },
    (inputs) => ({
      ...body(inputs),
      table: sphere.meanLog(expandDims(inputs.x, 0), inputs.y, full([1, 2, 2], 0.5)),
    }),
  );
  for (const tensor of Object.values(found)) expect(list(tensor).every(Number.isFinite)).toBe(true);
  expect(list(found.log)).toEqual(Array(8).fill(0).map(() => expect.closeTo(0, 12))); // prettier-ignore
  expect(list(found.rate).slice(0, 4)).toEqual([0, 1, 0, 2].map((v) => expect.closeTo(v, 12)));
});
