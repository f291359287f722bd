/**
 * Verifies a network as the denoiser of a declared flow map, on random weights: its cap, what it is told, that training judges what is
 * sampled, and that no gradient reaches a target. Browser-safe. Consumed by users as `verifyNetwork`.
 */
import { fn, u32 } from "../../dsl/index.ts";
import type { FlowMap } from "../../models/flow/flow-map.ts";
import { fold, key as keyOf } from "../../models/flow/host-random.ts";
import { NETWORK, NETWORK_PARTS, networkResiduals } from "../../models/language/verify-network.ts";
import type { NetworkParts } from "../../models/language/verify-network.ts";
import type { Network } from "../../models/networks/network.ts";
import { dit } from "../../models/networks/dit.ts";
import { keyData } from "../../models/training/batches.ts";
import { compile, disposeTree } from "../compile.ts";
import type { Device, DeviceValue } from "../device.ts";
import { openInterpreter } from "../interpreter-device.ts";

export interface VerifyNetworkOptions<P> {
  /** Of one time, and of two; small transformers by default. */
  readonly networks?: { readonly teacher: Network<P>; readonly student: Network<P> };
  /** Parts of one's own in place of those that train and sample declared flows here. */
  readonly parts?: Partial<NetworkParts>;
  /** The interpreter by default. */
  readonly device?: Device;
  /** Draws of weights and rows; 2 by default. */
  readonly cases?: number;
  /** Whole number from 0; 0 by default. */
  readonly seed?: number;
}

export interface NetworkResult {
  readonly name: string;
  readonly formula: string;
  readonly worst: number;
  readonly tolerance: number;
  readonly passed: boolean;
  /** For a failure: what usually is its cause. */
  readonly cause?: string;
}

const SMALL = { vocab: 5, length: 3, width: 8, depth: 1, heads: 2, conditioning: 4, mlpRatio: 2 };

/**
 * Checks a network and the parts that train and sample it.
 * @throws RangeError for a flow map whose flow does not predict the clean token, whose tokens have times of their own, or unless cases is
 *   a whole number of at least 1
 */
export async function verifyNetwork<P>(
  map: FlowMap,
  options: VerifyNetworkOptions<P> = {},
): Promise<readonly NetworkResult[]> {
  const { cases = 2, seed = 0, parts } = options;
  if (!Number.isSafeInteger(cases) || cases < 1)
    throw new RangeError(`verifyNetwork needs at least one case, whole, got ${cases}.`);
  if (map.flow.predicts !== "clean token" || map.flow.interpolant.length !== undefined)
    throw new RangeError(
      `verifyNetwork looks at logits of tokens that share one time, and the flow "${map.flow.name}" ` +
        (map.flow.interpolant.length === undefined
          ? `predicts a ${map.flow.predicts}.`
          : "gives them times of their own."),
    );
  // Without networks of the caller's, P is whatever these have.
  const networks = (options.networks ?? {
    teacher: dit(SMALL),
    student: dit({ ...SMALL, targetTime: true }),
  }) as { readonly teacher: Network<P>; readonly student: Network<P> };
  const device = options.device ?? openInterpreter();
  const worst = new Map<string, number>();
  try {
    const compiled = await compile(
      fn({ key: u32(2) }, ({ key }) => networkResiduals(map, networks, key, { ...NETWORK_PARTS, ...parts })),
      { device, name: "verify a network" },
    );
    for (let i = 0; i < cases; i++) {
      const outputs = await compiled.run({ key: keyData(fold(keyOf(seed), i)) });
      for (const { name } of NETWORK) {
        const value: DeviceValue = outputs[name];
        const [found = NaN] = (await value.read()).data;
        const before = worst.get(name) ?? 0;
        worst.set(name, Number.isNaN(before) || before > found ? before : found);
      }
      disposeTree(outputs);
    }
    await compiled.dispose();
  } finally {
    if (options.device === undefined) await device.dispose();
  }
  return NETWORK.map(({ name, formula, cause, tolerance }) => {
    const found = worst.get(name) ?? NaN;
    const passed = found <= tolerance;
    return { name, formula, worst: found, tolerance, passed, ...(passed ? {} : { cause }) };
  });
}
