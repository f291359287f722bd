/**
 * A process of its own for one first call: `node first-call-process.js WHICH SCALE [ADAPTER]` prints what it found as JSON. Started by
 * cases/first-call.ts.
 */
import type { Scale } from "../benchmark.ts";
import { firstCall } from "./first-call.ts";
import type { FirstCallOf } from "./first-call.ts";

const [of, scale, adapter] = process.argv.slice(2);
const call = await firstCall(of as FirstCallOf, scale as Scale, adapter); // it is started with these alone
process.stdout.write(JSON.stringify(call), () => process.exit(0)); // jax-js keeps its device open
