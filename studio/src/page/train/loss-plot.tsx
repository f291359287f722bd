/** The loss curves as uPlot draws them, in a chunk of its own. Consumed by curves.tsx. */
import { useEffect, useRef } from "preact/hooks";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Curves } from "./series.ts";

export interface LossPlotProps {
  readonly curves: Curves;
  /** Of the models that are trained. */
  readonly labels: { readonly flm?: string; readonly fmlm?: string };
  readonly logarithmic: boolean;
  /** Colours are read anew when this changes. */
  readonly dark: boolean;
}

/** What the series are called, in their order. */
const namesOf = ({ flm = "", fmlm = "" }: LossPlotProps["labels"]): readonly string[] => [
  flm,
  fmlm,
  `${flm} smoothed`,
  `${fmlm} smoothed`,
  "held-out text",
];

/** Colours as the page has them now: a canvas knows no custom properties. */
function coloursOf(element: HTMLElement): (name: string) => string {
  const probe = element.appendChild(document.createElement("span"));
  const read = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = new Map(["flm", "fmlm", "ink", "soft", "line", "paper"].map((name) => [name, read(name)]));
  probe.remove();
  return (name) => found.get(name) ?? "currentColor";
}

const faded = (colour: string): string => `color-mix(in srgb, ${colour} 28%, transparent)`;

function optionsOf(element: HTMLElement, logarithmic: boolean): UPlot.Options {
  const colour = coloursOf(element);
  const axis = {
    stroke: colour("soft"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
  const line = (stroke: string, width: number): UPlot.Series => ({
    stroke,
    width,
    spanGaps: true,
    points: { show: false },
    value: (_, value) => (value === null || value === undefined ? "–" : value.toFixed(3)),
  });
  return {
    width: Math.max(240, element.clientWidth),
    height: 260,
    padding: [12, 18, 0, 0],
    scales: { x: { time: false }, y: logarithmic ? { distr: 3 } : {} },
    axes: [
      { ...axis, label: "step", labelFont: axis.font, labelSize: 18, size: 34 },
      {
        ...axis,
        size: 46,
        // Between powers of ten a logarithmic axis needs its own labels.
        values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : String(Number(tick.toPrecision(3))))),
        ...(logarithmic ? { filter: (_: UPlot, ticks: number[]) => ticks } : {}),
      },
    ],
    series: [
      { label: "step" },
      line(faded(colour("flm")), 1),
      line(faded(colour("fmlm")), 1),
      line(colour("flm"), 2),
      line(colour("fmlm"), 2),
      {
        ...line(colour("ink"), 1),
        paths: () => null,
        points: { show: true, size: 7, width: 1.5, fill: colour("paper"), stroke: colour("ink") },
      },
    ],
    legend: { show: false },
    cursor: { drag: { x: true, y: false }, points: { size: 6 } },
  };
}

/** The nearest step's numbers, under the curves. */
export function LossPlot({ curves, labels, logarithmic, dark }: LossPlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLParagraphElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const names = useRef<readonly string[]>([]);
  names.current = namesOf(labels);
  const data = [
    curves.step,
    curves.flm,
    curves.fmlm,
    curves.flmSmooth,
    curves.fmlmSmooth,
    curves.validation,
  ] as unknown as UPlot.AlignedData; // uPlot's type asks for mutable arrays, which it does not change

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const chart = new UPlot(
      {
        ...optionsOf(element, logarithmic),
        hooks: {
          setCursor: [
            (u) => {
              const i = u.cursor.idx;
              if (readout.current === null) return;
              if (i === null || i === undefined || u.data[0][i] === undefined)
                readout.current.textContent = "";
              else {
                const parts = u.series.slice(1).flatMap((_, k) => {
                  const value = u.data[k + 1]?.[i];
                  return value === null || value === undefined
                    ? []
                    : [`${names.current[k]} ${value.toFixed(3)}`];
                });
                readout.current.textContent = [`Step ${u.data[0][i]}`, ...parts].join(" · ");
              }
            },
          ],
        },
      },
      data,
      element,
    );
    plot.current = chart;
    const watch = new ResizeObserver(() => {
      if (element.clientWidth > 0) chart.setSize({ width: element.clientWidth, height: 260 });
    });
    watch.observe(element);
    return () => {
      watch.disconnect();
      chart.destroy();
      plot.current = undefined;
    };
  }, [logarithmic, dark]);
  useEffect(() => plot.current?.setData(data), [curves]);

  return (
    <>
      <div class="plot" ref={place} aria-hidden="true" />
      <p class="readout small soft numeric" ref={readout} aria-hidden="true" />
    </>
  );
}
