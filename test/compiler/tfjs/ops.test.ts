/** Every op on the backends of TensorFlow.js that run in Node. */
import { describe } from "vitest";
import { tfjsDevices } from "../../support/tfjs-devices.ts";
import { testOps } from "../../support/tfjs-ops.ts";

describe.each(tfjsDevices)("lowering to %s", (_name, device) => testOps(device));
