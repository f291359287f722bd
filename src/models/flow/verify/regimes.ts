/**
 * Where the times s <= u <= t of a case lie. Identities hold everywhere, but mistakes show in some places only: on the diagonal, where
 * two times nearly meet, at the data.
 *
 * Consumed by identities and by the drawing and shrinking of cases. To add a regime: an entry in `REGIMES`.
 */
export interface Times {
  readonly s: number;
  readonly u: number;
  readonly t: number;
}

export interface Regime {
  /** For people. */
  readonly where: string;
  /** Times from three numbers in [0, 1). `latest` is where the data are all but known; derivatives are looked at before. */
  draw(random: readonly [number, number, number], latest: number): Times;
  /** Whether simpler times still belong here. */
  fits(times: Times, latest: number): boolean;
}

/** What a time nearly meets another by, as a share of the distance that is left. */
const NEAR = 1e-3;
/** The least distance between times that are apart, as a share of `latest`. */
const APART = 1 / 50;

const ordered = ({ s, u, t }: Times): boolean => 0 <= s && s <= u && u <= t && t <= 1;
const apart = ({ s, u, t }: Times, latest: number): boolean =>
  u - s >= APART * latest && t - u >= APART * latest && t <= latest && s >= 0;

/** s < u < t, at least 1/50 apart. */
function spread(random: readonly number[], latest: number): Times {
  const [a, b, c] = random.toSorted((p, q) => p - q) as [number, number, number];
  const scaled = (x: number, rank: number): number => latest * (rank * APART + x * (1 - 2 * APART));
  return { s: scaled(a, 0), u: scaled(b, 1), t: scaled(c, 2) };
}

const within = (a: number, b: number, by: number): boolean => b - a > 0 && b - a <= by;

/** Where the runs of samplers begin and end, as shares of `latest`: a schedule's times are the host's, one for all cases. */
export const [FROM, TO] = [0.2, 0.8];
const near = (a: number, b: number): boolean => Math.abs(a - b) < 1e-9;

export const REGIMES = {
  apart: {
    where: "s < u < t",
    draw: spread,
    fits: apart,
  },
  diagonal: {
    where: "s = u = t",
    draw: ([a], latest) => ({ s: a * latest, u: a * latest, t: a * latest }),
    fits: (times, latest) => ordered(times) && times.s === times.t && times.t <= latest,
  },
  "u near s": {
    where: "u just after s",
    draw: (random, latest) => {
      const { s, t } = spread(random, latest);
      return { s, u: s + NEAR * (t - s), t };
    },
    fits: (times, latest) =>
      ordered(times) && times.t <= latest && within(times.s, times.u, NEAR * (times.t - times.s) * 1.001),
  },
  "u near t": {
    where: "u just before t",
    draw: (random, latest) => {
      const { s, t } = spread(random, latest);
      return { s, u: t - NEAR * (t - s), t };
    },
    fits: (times, latest) =>
      ordered(times) && times.t <= latest && within(times.u, times.t, NEAR * (times.t - times.s) * 1.001),
  },
  "u near s, at the data": {
    where: "u just after s, t = 1",
    draw: (random, latest) => {
      const { s, t } = spread(random, latest);
      return { s, u: s + NEAR * (t - s), t: 1 };
    },
    fits: (times, latest) =>
      ordered(times) &&
      times.t === 1 &&
      times.s < latest &&
      within(times.s, times.u, NEAR * (latest - times.s) * 1.001),
  },
  "at the data": {
    where: "t = 1",
    draw: ([a, b, c], latest) => ({ ...spread([a, b, c], latest), t: 1 }),
    fits: (times, latest) =>
      ordered(times) && times.u - times.s >= APART * latest && times.u <= latest && times.t === 1,
  },
  "noise to data": {
    where: "s = 0 and t = 1",
    draw: ([, b], latest) => ({ s: 0, u: latest * (0.1 + 0.9 * b), t: 1 }),
    fits: (times, latest) =>
      ordered(times) && times.s === 0 && times.t === 1 && times.u > 0 && times.u <= latest,
  },
  "away from the ends": {
    where: "s away from 0 and 1",
    draw: (random, latest) => {
      const at = latest * (0.1 + 0.9 * random[0]);
      return { s: at, u: at, t: at };
    },
    fits: (times, latest) =>
      ordered(times) && times.s === times.t && times.s >= latest * 0.1 && times.t <= latest,
  },
  "from early to late": {
    where: "s early and t late",
    draw: (_random, latest) => ({ s: FROM * latest, u: ((FROM + TO) / 2) * latest, t: TO * latest }),
    fits: ({ s, u, t }, latest) => near(s, FROM * latest) && u >= s && u <= t && near(t, TO * latest),
  },
} as const satisfies Record<string, Regime>;
