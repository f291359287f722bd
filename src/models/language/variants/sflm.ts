/**
 * A flow of unit vectors on great circles, after S-FLM (Language Modeling with Hyperspherical Flows, arXiv:2605.11125): learned
 * directions of tokens, uniform noise on the sphere, the cross-entropy of the clean token, geodesic samplers. The network is the one of
 * this project, and the schedule is derived here, so it is like S-FLM and no port of it.
 *
 * There a truncated and adaptive schedule is what helps most: in d dimensions all noise is nearly orthogonal to all tokens, so that
 * tokens are decided in a short part of the way. Here that is the clock. At the share κ a state has about the cosine sin(κπ/2) with
 * its own token, and with another one cos(κπ/2)/√d times a normal number; how often another one's is larger is therefore the decoding
 * error of FLM, of a quarter circle and noise of scale 1/√d. The clock hardly moves before and after the decisions. One that is measured
 * in training instead is `clocks.accumulatedLossClock`.
 */
import { decodingError } from "../../flow/clock-decoding-error.ts";
import { trigonometric } from "../../flow/interpolant.ts";
import { sphericalFlow } from "../../flow/sphere/spherical-flow.ts";
import type { SphericalFlow } from "../../flow/sphere/spherical-flow.ts";

/**
 * @param width of the network, which is d; 768 by default
 * @throws RangeError for a vocabulary that decodingError does not take
 */
export const sflm = (vocab: number, { width = 768 }: { readonly width?: number } = {}): SphericalFlow =>
  sphericalFlow({
    name: "S-FLM-like",
    clock: decodingError({ vocab, interpolant: trigonometric, scale: 1 / Math.sqrt(width) }),
  });
