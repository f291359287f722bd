/**
 * One token's way through the plane: where FLM's steps take its state and the flow's arrow at each, and FMLM's one jump from the same
 * noise. Consumed by sentence.tsx.
 */
import type { Forming } from "../../engine/protocol.ts";
import { percent, visible } from "../format.ts";
import { momentAt, steppedOf, type Pair, type SentenceStore } from "./sentence-store.ts";

const [W, H, MARGIN] = [480, 300, 28];
/** More arrows than this cover each other. */
const MOST_ARROWS = 16;

interface Point {
  readonly x: number;
  readonly y: number;
}

const pathOf = (forming: Forming, position: number): readonly Point[] =>
  forming.moments.flatMap(({ plane }) => plane?.[position] ?? []);

/** From the plane to the picture, the same for both axes, so that directions stay true. */
function scaleOf(points: readonly Point[]): (point: Point) => Point {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const scale = Math.min((W - 2 * MARGIN) / (right - left || 1), (H - 2 * MARGIN) / (high - low || 1));
  return ({ x, y }) => ({
    x: W / 2 + scale * (x - (left + right) / 2),
    y: H / 2 - scale * (y - (low + high) / 2),
  });
}

const d = (points: readonly Point[]): string =>
  points.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/** A line with a head, drawn out: markers would take their colour from elsewhere. */
function arrow(from: Point, to: Point, head = 5): string {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy);
  if (length < 2) return "";
  const [ux, uy] = [dx / length, dy / length];
  const side = (sign: number): string =>
    `${(to.x - head * (ux + sign * 0.5 * uy)).toFixed(1)} ${(to.y - head * (uy - sign * 0.5 * ux)).toFixed(1)}`;
  return `${d([from, to])}M${side(1)}L${to.x.toFixed(1)} ${to.y.toFixed(1)}L${side(-1)}`;
}

function Picture({
  pair,
  position,
  at,
}: {
  readonly pair: Pair;
  readonly position: number;
  readonly at: number;
}) {
  const { flm, fmlm } = pair;
  const shown = steppedOf(pair);
  const way = flm === undefined ? [] : pathOf(flm, position);
  const jump = fmlm === undefined ? [] : pathOf(fmlm, position);
  const steps = way.length > 0 ? way : jump;
  const [start, end] = [steps[0], steps.at(-1)];
  if (shown === undefined || start === undefined || end === undefined) return null;
  const crowd = (shown.moments[0]?.plane ?? [])
    .map((_, i) => pathOf(shown, i))
    .filter((_, i) => i !== position);
  const every = Math.max(1, Math.ceil((way.length - 1) / MOST_ARROWS));
  const arrows = (flm?.moments ?? []).slice(0, -1).flatMap(({ plane }, i) => {
    const here = plane?.[position];
    if (here === undefined || i % every !== 0) return [];
    return [{ i, from: here, end: { x: here.x + here.dx, y: here.y + here.dy } }];
  });
  // The crowd may reach beyond the frame: what is looked at must fill it.
  const to = scaleOf([...way, ...jump, ...arrows.map(({ end }) => end)]);
  const now = to(steps[Math.min(at, steps.length - 1)] ?? start);
  const [jumpStart, jumpEnd] = [jump[0], jump.at(-1)];
  const last = visible(shown.moments.at(-1)?.top[position]?.[0]?.token ?? "");
  const stop = to(end);
  return (
    <svg
      class="plane"
      viewBox={`0 0 ${W} ${H}`}
      role="img"
      aria-label={`The way of token ${position + 1} from noise to ${last}, in the plane`}
    >
      {crowd.map((points, i) => (
        <path key={i} class="crowd" d={d(points.map(to))} />
      ))}
      {jumpStart !== undefined && jumpEnd !== undefined && (
        <path class="jump" d={arrow(to(jumpStart), to(jumpEnd), 9)} />
      )}
      <path class="way" d={d(way.map(to))} />
      {arrows.map((one) => (
        <path key={one.i} class={one.i <= at ? "flow past" : "flow"} d={arrow(to(one.from), to(one.end))} />
      ))}
      <circle class="noise" {...{ cx: to(start).x, cy: to(start).y, r: 5 }} />
      <circle class="now" cx={now.x} cy={now.y} r="6" />
      <text
        x={Math.min(W - 24, Math.max(24, to(start).x))}
        y={to(start).y + (stop.y > to(start).y ? -12 : 22)}
        text-anchor="middle"
      >
        noise
      </text>
      <text
        class="word"
        x={stop.x + (stop.x > W - 90 ? -10 : 10)}
        y={stop.y + (stop.y > to(start).y ? 24 : -9)}
        text-anchor={stop.x > W - 90 ? "end" : "start"}
      >
        {last}
      </text>
    </svg>
  );
}

const isSeen = ({ probability }: { readonly probability: number }): boolean => probability >= 5e-4;

function Shares({
  forming,
  at,
  position,
  name,
  label,
}: {
  readonly forming: Forming;
  readonly at: number;
  readonly position: number;
  readonly name: "flm" | "fmlm";
  readonly label: string;
}) {
  const moment = momentAt(forming, at);
  const entropy = moment?.entropy;
  return (
    <div class={`shares ${name}`}>
      <h4>
        {label}
        {entropy !== undefined && (
          <span class="soft numeric"> entropy {(entropy[position] ?? 0).toFixed(2)} nats</span>
        )}
      </h4>
      <ol class={entropy === undefined ? "nearest" : undefined}>
        {(moment?.top[position] ?? [])
          .filter(isSeen)
          .slice(0, 5)
          .map(({ token, probability }, i) => (
            <li key={i} style={{ "--p": entropy === undefined ? 0 : probability }}>
              <span class="token">{visible(token)}</span>
              {entropy !== undefined && <span class="numeric soft">{percent(probability)}</span>}
            </li>
          ))}
      </ol>
    </div>
  );
}

function caption({ flm, fmlm }: Pair): string {
  if (flm === undefined) return "Its state in a plane, before and after the jump.";
  const arrows = fmlm === undefined ? "" : "; the long one is the jump";
  return `Its state in a plane, step by step. Arrows are the flow's${arrows}.`;
}

export function TokenWay({ state }: { readonly state: SentenceStore }) {
  const pair = state.pair.value;
  const position = state.position.value;
  const at = state.at.value;
  const first = steppedOf(pair)?.moments[0];
  const length = first?.top.length ?? 0;
  return (
    <div class="way-of">
      <div class="side">
        <h3>
          Token {position + 1} <span class="soft">of {length}</span>
        </h3>
        <div class="pairs">
          {(["flm", "fmlm"] as const).map((name) => {
            const forming = pair[name];
            if (forming === undefined) return null;
            const of = { forming, at, position, name, label: pair.labels[name] };
            return <Shares key={name} {...of} />;
          })}
        </div>
        <p class="small soft how">
          {first?.entropy === undefined
            ? "Choose a token to see its way."
            : "Choose a token to see what else it may become. Tokens sharpen as they are decided; the bar under a token is its entropy."}
        </p>
      </div>
      {first?.plane === undefined ? (
        <p class="small soft unmoved">{steppedOf(pair)?.unmoved}</p>
      ) : (
        <figure>
          <Picture pair={pair} position={position} at={at} />
          <figcaption class="small soft">{caption(pair)}</figcaption>
        </figure>
      )}
    </div>
  );
}
