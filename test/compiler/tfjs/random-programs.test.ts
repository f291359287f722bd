/** Random programs on the backends of TensorFlow.js that run in Node. */
import * as tf from "@tensorflow/tfjs";
import { describe } from "vitest";
import { flushes, tfjsDevices } from "../../support/tfjs-devices.ts";
import { testRandomPrograms } from "../../support/tfjs-random-programs.ts";

describe.each(tfjsDevices)("random programs on %s", (_name, device, backend) =>
  testRandomPrograms(device, tf, { flushes: flushes(backend) }),
);
