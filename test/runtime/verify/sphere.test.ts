/**
 * Flows on the sphere: those that are right raise no alarm, on any device; and planted mistakes are caught, by the identity that says
 * what is wrong.
 */
import { describe, expect, it } from "vitest";
import { customJvp, log, matmul, mul, neg, sin, square, sub, sum } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { sphere } from "../../../src/models/flow/sphere/geometry.ts";
import type { Geometry } from "../../../src/models/flow/sphere/geometry.ts";
import { shareAt } from "../../../src/models/flow/sphere/path.ts";
import type { GreatCircle } from "../../../src/models/flow/sphere/path.ts";
import { perRank, sphericalFlow } from "../../../src/models/flow/sphere/spherical-flow.ts";
import type { SphericalFlow } from "../../../src/models/flow/sphere/spherical-flow.ts";
import { openDevice } from "../../../src/runtime/devices.ts";
import { verifyFlow } from "../../../src/runtime/verify/verify.ts";
import { failures } from "../../support/verify-failures.ts";

const right = sphericalFlow({ name: "right" });
const bent = sphericalFlow({
  name: "bent",
  path: { name: "sine", kappa: (t) => square(sin(mul(t, Math.PI / 2))) },
  clock: decodingError({ vocab: 1000 }),
  loss: "squared error",
  weighting: (_t, { kappa }) => sub(1, square(kappa)),
});

describe("no alarm", () => {
  it.each([right, bent])("$name", async (flow) => {
    const seed = flow === right ? 0 : 1;
    const { results, kind, passed } = await verifyFlow(flow, { cases: 6, seed });
    expect(results.filter((result) => !result.passed)).toEqual([]);
    expect({ passed, kind }).toEqual({ passed: true, kind: "spherical flow" });
    expect(results.length).toBeGreaterThanOrEqual(29);
  });

  it("on another device", async () => {
    const device = await openDevice("cpu");
    const { results } = await verifyFlow(bent, {
      cases: 6,
      device,
      families: ["interpolant", "source", "loss", "sampler"],
    });
    await device.dispose();
    expect(results.filter(({ passed }) => !passed)).toEqual([]);
    expect(results.at(-1)?.name).toBe("device agreement");
  });
});

describe("mistakes", () => {
  const over = (x: Tensor): Tensor => sum(x, [-1], { keepDims: true }) as Tensor;
  const chord = (x: Tensor, y: Tensor): Tensor => sub(y, mul(x, over(mul(x, y))));
  const withGeometry = (parts: Partial<Geometry>): SphericalFlow =>
    sphericalFlow({ name: "mistaken", geometry: { ...sphere, ...parts } });
  const withPath = (path: Partial<GreatCircle>): SphericalFlow => ({
    ...right,
    path: { ...right.path, ...path },
  });
  const doubled = customJvp(
    (t: Tensor) => mul(t, 1),
    ([t], [tangent]) => [mul(t, 1) as Tensor, mul(tangent as Tensor, 2) as Tensor] as const,
  );

  it.each<[string, readonly string[], SphericalFlow]>([
    [
      "a velocity without 1/(1 − κ)",
      ["velocity of the path", "velocity by differences", "density along the path", "drift"],
      {
        ...right,
        velocity: (x, clean, t) => mul(sphere.log(x, clean), perRank(shareAt(right.path, t).rate, 3)),
      },
    ],
    ["a log map without θ/sin θ", ["length of the log map", "exp undoes log"], withGeometry({ log: chord })],
    ["vectors that are not normalized", ["tokens on the sphere"], withGeometry({ unit: (x) => x })],
    [
      "a line that is normalized, with the velocity of the great circle",
      ["great circle", "velocity of the path"],
      {
        ...right,
        state: (noise, clean, t) => {
          const share = perRank(t, 3);
          return sphere.unit(sub(mul(clean, share), mul(noise, sub(share, 1))));
        },
      },
    ],
    [
      "a line that is not normalized",
      ["states on the sphere", "great circle"],
      {
        ...right,
        state: (noise, clean, t) => {
          const share = perRank(t, 3);
          return sub(mul(clean, share), mul(noise, sub(share, 1)));
        },
      },
    ],
    [
      "a density with the exponent d − 1",
      ["density along the path", "density of a state"],
      {
        ...right,
        logDensity: (x, clean, t) => {
          const d = x.shape.at(-1) ?? 0;
          // One more of the d − 2 factors; 1/(1 − κ) stays.
          const own: Tensor = log(perRank(sub(1, t), x.shape.length - 1));
          const power: Tensor = sub(right.logDensity(x, clean, t), neg(own));
          return sub(mul(power, (d - 1) / (d - 2)), own);
        },
      },
    ],
    [
      "logs that are differences of vectors",
      ["mean of logs", "drift", "tangent drift"],
      withGeometry({
        meanLog: (x, table, weights) => sub(matmul(weights, table), mul(x, over(weights))),
      }),
    ],
    ["no transport", ["transport"], withGeometry({ transport: (v) => v })],
    ["a path that ends early", ["ends of the path"], withPath({ kappa: (t) => mul(t, 0.98) })],
    ["a path that turns back", ["monotone path"], withPath({ kappa: (t) => mul(t, sub(2.5, mul(t, 1.5))) })],
    ["a rate that is not κ's", ["rate of the path"], withPath({ kappa: doubled })],
    [
      "a weight that is negative",
      ["weighting"],
      { ...right, name: "mistaken", weighting: (t) => sub(0.2, t) },
    ],
  ])("%s", async (what, names, flow) => {
    const family =
      what.includes("path") || what.includes("rate")
        ? "interpolant"
        : what.includes("weight")
          ? "loss"
          : "flow";
    const failed = await failures(flow, [family]);
    expect(failed).toEqual(expect.arrayContaining([...names]));
    expect(failed[0]).toBe(names[0]);
  });

  it("a transport that makes longer", async () => {
    const failed = await failures(withGeometry({ transport: (v) => mul(v, 1.02) }), ["sampler"]);
    expect(failed).toContain("geodesic midpoint steps");
  });

  it("noise of half of the sphere", async () => {
    const folded = withGeometry({ unit: (x) => sphere.unit(square(x) as Tensor) });
    expect(await failures(folded, ["source"])).toEqual(["moments of the noise"]);
  });
});
