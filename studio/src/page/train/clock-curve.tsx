/**
 * The clock τ(t) with the times of the batch that was just trained on: evenly spread on τ, and so crowded in t where decisions between
 * tokens fall. Consumed by train-view.tsx.
 */
import type { Studio } from "../../engine/client.ts";
import { count } from "../format.ts";

const [W, H, LEFT, BOTTOM] = [320, 260, 30, 34];
const x = (t: number): number => LEFT + t * (W - LEFT - 8);
const y = (tau: number): number => 12 + (1 - tau) * (H - BOTTOM - 12);

/** The time at which a clock, given at even times, shows tau. */
function timeOf(clock: readonly number[], tau: number): number {
  const after = clock.findIndex((value) => value >= tau);
  if (after <= 0) return after === 0 ? 0 : 1;
  const [low, high] = [clock[after - 1] ?? 0, clock[after] ?? 1];
  return (after - 1 + (high > low ? (tau - low) / (high - low) : 0)) / (clock.length - 1);
}

export function ClockCurve({ store }: { readonly store: Studio }) {
  const run = store.run.value;
  if (run === undefined || run.clock.length < 2) return null;
  const { clock } = run;
  const where = store.progress.value;
  const times = where?.times ?? [];
  const path = clock.map(
    (tau, i) => `${i === 0 ? "M" : "L"}${x(i / (clock.length - 1)).toFixed(1)} ${y(tau).toFixed(1)}`,
  );
  const half = timeOf(clock, 0.5);
  const quarters = [timeOf(clock, 0.25), timeOf(clock, 0.75)].map((t) => t.toFixed(2));
  return (
    <section class="section" aria-labelledby="clock-title">
      <header>
        <h2 id="clock-title">Clock</h2>
        <span class="soft small">τ(t) of {count(run.settings.vocabulary)} tokens</span>
      </header>
      <svg
        class="chart"
        viewBox={`0 0 ${W} ${H}`}
        role="img"
        aria-label={`The clock shows a quarter at t = ${quarters[0]}, a half at ${half.toFixed(2)} and three quarters at ${quarters[1]}.`}
      >
        {[0, 0.5, 1].map((v) => (
          <g key={v}>
            <path class="rule" d={`M${x(0)} ${y(v)}H${x(1)}M${x(v)} ${y(0)}V${y(1)}`} />
            <text x={x(v)} y={y(0) + 18} text-anchor={v === 1 ? "end" : "middle"}>
              {v}
            </text>
            <text x={LEFT - 8} y={y(v) + 4} text-anchor="end">
              {v}
            </text>
          </g>
        ))}
        <text x={x(0.75)} y={y(0) + 18} text-anchor="middle">
          t
        </text>
        <text x={LEFT - 8} y={y(0.75) + 4} text-anchor="end">
          τ
        </text>
        <path class="curve" d={path.join("")} />
        <g class={where?.phase ?? "flm"}>
          {times.slice(0, 128).map((tau, i) => {
            const t = timeOf(clock, tau);
            return (
              <g key={i}>
                <path class="tick" d={`M${x(0)} ${y(tau)}h6M${x(t)} ${y(0)}v-6`} />
                <circle class="time" cx={x(t)} cy={y(tau)} r="2.6" />
              </g>
            );
          })}
        </g>
      </svg>
      <p class="small soft">
        {times.length === 0
          ? "Times are drawn evenly on τ: most fall where decisions between tokens fall."
          : `${times.length} times of the last batch: even on τ, crowded in t where decisions between tokens fall.`}
      </p>
    </section>
  );
}
