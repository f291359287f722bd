/**
 * A made-up but realistic run for the report's tests: numbers of the size that a small model on dictionary definitions
 * gives. Pure arithmetic, so every call gives the same data.
 */
import type { QualityCell, ReportData, Trajectory } from "../../../src/cli/report/data.ts";

const counts = [1, 2, 4, 8, 16, 32, 64];

const sentences = [
  "remove the head of a fish before cooking",
  "a person who travels by water for pleasure",
  "the quality of being willing to help others",
  "of or relating to the study of ancient coins",
  "a small bird with a short tail and gray wings",
];

/** Noise in [-1, 1) without a random source. */
const noise = (i: number): number => {
  const x = Math.sin(i * 12.9898 + 4.1414) * 43758.5453;
  return 2 * (x - Math.floor(x)) - 1;
};

function cell(model: "FLM" | "FMLM", steps: number, perplexity: number, entropy: number): QualityCell {
  return {
    model,
    steps,
    perplexity,
    low: perplexity * 0.975,
    high: perplexity * 1.028,
    entropy,
    secondsPerSample: 0.0031 * steps,
    samples: sentences.map((sentence, i) =>
      sentence
        .split(" ")
        .map((word, j) => (noise(i * 31 + j * 7 + steps) > 0.4 + Math.log2(steps) / 8 ? "value" : word))
        .join(" "),
    ),
  };
}

function trajectory(model: "FLM" | "FMLM", count: number): Trajectory {
  const words = "the act of removing the outer shell of an egg ; a small wooden boat with".split(" ");
  const early = ["the", "of", "a", "or", "the", "in"];
  return {
    model,
    steps: Array.from({ length: count }, (_, k) => {
      const time = (k + 1) / count;
      const sure = words.map((_, i) =>
        Math.min(0.995, Math.max(0.03, time * 1.3 - 0.25 + noise(i * 17) * 0.25)),
      );
      return {
        time,
        tokens: words.map((word, i) =>
          (sure[i] ?? 0) > 0.45
            ? word
            : (early[Math.floor(Math.abs(noise(i + Math.floor(k / 3) * 5)) * 6)] ?? "the"),
        ),
        confidence: sure,
      };
    }),
  };
}

export function fakeRun(): ReportData {
  const flm = [11.93, 4.34, 3.83, 3.68, 3.57, 3.51, 3.49];
  const fmlm = [6.38, 3.88, 3.68, 3.55, 3.52, 3.5, 3.5];
  return {
    title: "FLM and FMLM on WordNet definitions",
    summary: [
      ["Data", "WordNet, 117,791 definitions"],
      ["Vocabulary", "2,048 words"],
      ["Length", "16 words"],
      ["Network", "4 blocks, width 192, 3.1 M weights"],
      ["Steps", "FLM 3,200, FMLM 900"],
      ["Time", "5 min 12 s on 2 cores"],
      ["Seed", "1"],
      ["Device", "cpu"],
    ],
    verdicts: [
      "At 1 step FMLM reads better than FLM: perplexity 6.38 against 11.93, at matched entropy.",
      "At 2 and 4 steps FMLM is ahead as well; from 16 steps on the two cannot be told apart.",
      "One step of FMLM does not yet reach 8 steps of FLM (3.68): the student had 900 steps only.",
    ],
    losses: [
      {
        name: "FLM",
        train: Array.from({ length: 1600 }, (_, i) => [
          i * 2 + 2,
          1.9 + 5.6 * Math.exp(-i / 130) + 0.9 * Math.exp(-i / 900) + noise(i) * 0.28,
        ]),
        validation: Array.from({ length: 16 }, (_, i) => [
          (i + 1) * 200,
          2 + 5.6 * Math.exp(-(i + 1) / 1.3) + 0.9 * Math.exp(-(i + 1) / 9),
        ]),
      },
      {
        name: "FMLM",
        train: Array.from({ length: 900 }, (_, i) => [
          i + 1,
          (0.09 + 0.5 * Math.exp(-i / 80)) * (1 + noise(i) * 0.3),
        ]),
        validation: [],
      },
    ],
    quality: [
      ...counts.map((steps, i) => cell("FLM", steps, flm[i] ?? 3.5, 2.31 + 0.03 * i)),
      ...counts.map((steps, i) => cell("FMLM", steps, fmlm[i] ?? 3.5, 2.44 + 0.012 * i)),
    ],
    references: [
      { name: "held-out text", perplexity: 2.76, entropy: 2.53, samples: sentences.slice(0, 3) },
      {
        name: "shuffled text",
        perplexity: 4.95,
        entropy: 2.53,
        samples: sentences.slice(0, 3).map((sentence) => sentence.split(" ").reverse().join(" ")),
      },
      {
        name: "unigram samples",
        perplexity: 8.41,
        entropy: 2.4,
        samples: [
          "of the a in small or of which",
          "a by the of used person the the",
          "to with in of a ; the body",
        ],
      },
    ],
    trajectories: [trajectory("FLM", 32), trajectory("FMLM", 4)],
  };
}

/** A run in which nothing has happened yet. */
export const emptyRun: ReportData = {
  title: "Nothing yet",
  summary: [],
  verdicts: [],
  losses: [],
  quality: [],
  references: [],
  trajectories: [],
};
