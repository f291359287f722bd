/**
 * All clocks as one namespace. Consumed by users as `models.clocks`. To publish a new one: export it here.
 */
export { mixtureClock, uniformClock } from "./clock.ts";
export type { Clock, MixtureClock } from "./clock.ts";
export { clock, cosineClock } from "./clock-declared.ts";
export type { ClockDeclaration } from "./clock-declared.ts";
export { decodingError } from "./clock-decoding-error.ts";
export type { DecodingErrorClock } from "./clock-decoding-error.ts";
export { accumulatedLossClock, entropicClock, learnedClock } from "./clock-learned.ts";
export { logSnrClock } from "./clock-log-snr.ts";
