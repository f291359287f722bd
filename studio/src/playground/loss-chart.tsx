/** Losses of a training over its steps, with those of the training before as thin lines. Consumed by toy-view.tsx. */
import type { ToyCurve } from "./messages.ts";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [520, 200, 44, 26, 10];

interface LossChartProps {
  readonly curves: readonly ToyCurve[];
  readonly before: readonly ToyCurve[];
  readonly steps: number;
}

export function LossChart({ curves, before, steps }: LossChartProps) {
  const all = [...curves, ...before].flatMap(({ losses }) => losses.map(([, loss]) => loss));
  const finite = all.filter(Number.isFinite);
  if (finite.length === 0) return null;
  const most = Math.max(...finite);
  const x = (step: number): number => LEFT + ((WIDTH - LEFT - 8) * step) / Math.max(1, steps - 1);
  const y = (loss: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - loss / Math.max(most, 1e-9));
  const path = (losses: ToyCurve["losses"]): string =>
    losses
      .filter(([, loss]) => Number.isFinite(loss))
      .map(([step, loss], i) => `${i === 0 ? "M" : "L"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`)
      .join("");
  const last = ({ losses }: ToyCurve): string => (losses.at(-1)?.[1] ?? NaN).toFixed(3);
  const label = curves.map((curve) => `${curve.model}: loss ${last(curve)}`).join("; ");
  return (
    <figure class="play-chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Losses over the steps. ${label}`}>
        {[0, most / 2, most].map((loss) => (
          <g key={loss}>
            <line class="play-grid" x1={LEFT} x2={WIDTH - 8} y1={y(loss)} y2={y(loss)} />
            <text x={LEFT - 6} y={y(loss) + 4} text-anchor="end">
              {loss.toPrecision(2)}
            </text>
          </g>
        ))}
        <text x={LEFT} y={HEIGHT - 8}>
          step 0
        </text>
        <text x={WIDTH - 8} y={HEIGHT - 8} text-anchor="end">
          step {steps}
        </text>
        {before.map((curve, i) => (
          <path key={`before ${curve.model}`} class={`play-before play-stroke${i}`} d={path(curve.losses)} />
        ))}
        {curves.map((curve, i) => (
          <path key={curve.model} class={`play-stroke${i}`} d={path(curve.losses)} />
        ))}
      </svg>
      <figcaption>
        {curves.map((curve, i) => (
          <span key={curve.model} class="play-legend">
            <svg viewBox="0 0 24 8" aria-hidden="true">
              <path class={`play-stroke${i}`} d="M1 4H23" />
            </svg>
            {curve.model}, loss {last(curve)}
          </span>
        ))}
        {before.length > 0 && <span class="play-soft">Thin lines: the training before.</span>}
      </figcaption>
    </figure>
  );
}
