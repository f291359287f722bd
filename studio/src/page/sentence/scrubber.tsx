/** The steps from noise to text as a slider, under a line that shows how undecided the text is at each. Consumed by sentence.tsx. */
import type { Forming } from "../../engine/protocol.ts";
import { meanEntropy, steppedOf, stepsOf, type SentenceStore } from "./sentence-store.ts";

const H = 36;

/** Mean entropy over the steps, in the slider's own coordinates. */
function line(forming: Forming, steps: number, most: number): string {
  return Array.from({ length: steps + 1 }, (_, i) => {
    const moment = forming.moments[Math.min(i, forming.moments.length - 1)];
    const x = (100 * i) / steps;
    const y = H - 2 - (H - 6) * (meanEntropy(moment?.entropy) / most);
    // A jump has nothing between before and after.
    return `${i === 0 ? "M" : "L"}${x.toFixed(2)} ${y.toFixed(2)}`;
  }).join("");
}

export function Scrubber({ state }: { readonly state: SentenceStore }) {
  const pair = state.pair.value;
  const { flm, fmlm } = pair;
  const steps = stepsOf(pair);
  const at = Math.min(state.at.value, steps);
  const moment = steppedOf(pair)?.moments[at];
  const all = [...(flm?.moments ?? []), ...(fmlm?.moments ?? [])].map(({ entropy }) => meanEntropy(entropy));
  const most = Math.max(1e-6, ...all);
  const playing = state.playing.value;
  const entropy = moment?.entropy;
  const said = `step ${at} of ${steps}${entropy === undefined ? "" : `, mean entropy ${meanEntropy(entropy).toFixed(2)} nats`}`;
  return (
    <div class="scrubber">
      <button
        type="button"
        class="icon"
        aria-label={playing ? "Stop" : "Play from noise to text"}
        onClick={() => (playing ? state.stop() : state.play())}
      >
        <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
          {playing ? (
            <path d="M3 2h3v10H3zM8 2h3v10H8z" fill="currentColor" />
          ) : (
            <path d="M3 1.5v11l9.5-5.5z" fill="currentColor" />
          )}
        </svg>
      </button>
      <div class="track">
        {entropy !== undefined && (
          <>
            <svg viewBox={`0 0 100 ${H}`} preserveAspectRatio="none" aria-hidden="true">
              {fmlm !== undefined && <path class="fmlm" d={line(fmlm, steps, most)} />}
              {flm !== undefined && <path class="flm" d={line(flm, steps, most)} />}
            </svg>
            <span class="axis small soft" aria-hidden="true">
              mean entropy
            </span>
          </>
        )}
        <input
          type="range"
          min="0"
          max={steps}
          step="1"
          value={at}
          aria-label="Step from noise to text"
          aria-valuetext={said}
          onInput={(event) => {
            state.stop();
            state.at.value = Number(event.currentTarget.value);
          }}
        />
      </div>
      <output class="small soft numeric">
        step {at} of {steps}
        <br />τ = {(moment?.tau ?? 0).toFixed(2)}
      </output>
    </div>
  );
}
