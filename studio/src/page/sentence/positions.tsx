/**
 * A text as the network sees it at one moment: per position the most probable tokens in a small column. The best one sharpens from grey to
 * black as its probability grows. Consumed by sentence.tsx.
 */
import type { Forming, FormingMoment } from "../../engine/protocol.ts";
import { percent, visible } from "../format.ts";

type TokenShare = FormingMoment["top"][number][number];

const OTHERS = 3;
const isSeen = ({ probability }: TokenShare): boolean => probability >= 0.005;

/** What else may stand there is written smaller than the best token, by this factor. */
const SMALLER = 0.6;
/** Letters of the best token's size that the others may widen a column by: longer ones are cut, and the list below has them whole. */
const MOST_FOR_OTHERS = 5;

/** Letters that each position needs over all moments, for its widest best token and for the others: so nothing moves while a text forms. */
function widths(forming: Forming): readonly number[] {
  const positions = forming.moments[0]?.top.length ?? 0;
  const letters = ({ token }: TokenShare): number => visible(token).length;
  return Array.from({ length: positions }, (_, i) =>
    Math.max(
      ...forming.moments.flatMap(({ top }) => (top[i] ?? []).slice(0, 1).map(letters)),
      ...forming.moments.flatMap(({ top }) =>
        (top[i] ?? [])
          .slice(1, 1 + OTHERS)
          .filter(isSeen)
          .map((other) => Math.min(MOST_FOR_OTHERS, SMALLER * letters(other))),
      ),
    ),
  );
}

const spoken = (moment: FormingMoment, i: number): string => {
  const { top, entropy } = moment;
  const tokens = (top[i] ?? [])
    .slice(0, 1 + OTHERS)
    .map(({ token, probability }) =>
      entropy === undefined ? visible(token) : `${visible(token)} ${percent(probability)}`,
    );
  const said = entropy === undefined ? "" : `; entropy ${(entropy[i] ?? 0).toFixed(2)} nats`;
  return `Position ${i + 1}: ${tokens.join(", ")}${said}`;
};

export function Positions({
  forming,
  moment,
  selected,
  onSelect,
  label,
}: {
  readonly forming: Forming;
  readonly moment: FormingMoment;
  readonly selected: number;
  readonly onSelect: (position: number) => void;
  readonly label: string;
}) {
  const room = widths(forming);
  // Of all moments, so that a bar of full width means "as undecided as it ever was".
  const most = Math.max(1e-6, ...forming.moments.flatMap(({ entropy = [] }) => entropy));
  const last = moment.top.length - 1;
  const move = (event: KeyboardEvent): void => {
    const to = { ArrowRight: selected + 1, ArrowLeft: selected - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = Math.min(last, Math.max(0, to));
    onSelect(next);
    (event.currentTarget as HTMLElement).querySelectorAll("button")[next]?.focus();
  };
  return (
    <div class="positions" role="group" aria-label={label} onKeyDown={move}>
      {moment.top.map((tokens, i) => {
        const [best, ...others] = tokens;
        return (
          <button
            key={i}
            type="button"
            class="position"
            aria-pressed={i === selected}
            aria-label={spoken(moment, i)}
            tabIndex={i === selected ? 0 : -1}
            style={{
              "--p": best?.probability ?? 0,
              "--h": (moment.entropy?.[i] ?? 0) / most,
              "--room": room[i] ?? 1,
            }}
            onClick={() => onSelect(i)}
          >
            <span class="best" aria-hidden="true">
              {visible(best?.token ?? "")}
            </span>
            <span class="entropy" aria-hidden="true" />
            {moment.entropy !== undefined && (
              <span class="others" aria-hidden="true">
                {Array.from({ length: OTHERS }, (_, k) => {
                  const other = others[k];
                  const shown = other !== undefined && isSeen(other) ? other : undefined;
                  return (
                    <span key={k} style={{ "--p": shown?.probability ?? 0 }}>
                      {shown === undefined ? "\u00a0" : visible(shown.token)}
                    </span>
                  );
                })}
              </span>
            )}
          </button>
        );
      })}
    </div>
  );
}
