/**
 * FLM (arXiv:2602.16813): the straight line from Gaussian noise to one-hot tokens, on the clock that shows which share of tokens can
 * be read from the noisy state; a softmax denoiser, trained by cross-entropy without weights. As training programs: flm.ts above.
 */
import { decodingError } from "../../flow/clock-decoding-error.ts";
import { flow } from "../../flow/flow.ts";
import type { Flow } from "../../flow/flow.ts";

export const flm = (vocab: number): Flow => flow({ name: "FLM", clock: decodingError({ vocab }) });
