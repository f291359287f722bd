/**
 * The explain view: what runs on the GPU for the step of a training, kernel by kernel, and where its memory goes.
 *
 * Mounted by the page as a tab, lazily. It asks for the explanation itself, and again when it is told to: a step's numbers stay, its times
 * may not.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { slotMap } from "../../../src/runtime/explain/slot-map.ts";
import { bytesText, countText, engineering, plural, timeText } from "../../../src/runtime/explain/units.ts";
import type { ExplainedKernel, ExplainProgress, StepExplanation } from "../engine/protocol.ts";
import { duration } from "../page/format.ts";
import { columnsOf, inOrder, isTimed, usualOrder } from "./table.ts";
import type { Column, Order } from "./table.ts";
import "../page/style/tables.css";
import "./explain.css";

export interface ExplainViewProps {
  /** The run whose step is explained; undefined where there is none. */
  readonly run: string | undefined;
  /** Whether what declares it runs; it is asked again when that begins or ends. */
  readonly runs: boolean;
  /** `Engine.explain`. */
  readonly explain: (run: string) => Promise<StepExplanation>;
  /** `Engine.stopExplaining`. */
  readonly stop: () => Promise<void>;
  /** Where it has come to. */
  readonly progress: ExplainProgress | undefined;
}

type Shown =
  | { readonly kind: "waiting"; readonly since: number }
  | { readonly kind: "stopped" }
  | { readonly kind: "step"; readonly step: StepExplanation }
  | { readonly kind: "failed"; readonly message: string };

const waiting = (): Shown => ({ kind: "waiting", since: performance.now() });

export function ExplainView({ run, runs, explain, stop, progress }: ExplainViewProps) {
  const [shown, setShown] = useState<Shown>(waiting);
  const [asked, setAsked] = useState(0);
  const again = useRef<HTMLButtonElement>(null);
  /** Whether this question is still the one whose answer is waited for. */
  const wanted = useRef<object>();
  useEffect(() => {
    if (run === undefined) return undefined;
    const mine = (wanted.current = {});
    const show = (next: Shown): void => {
      if (wanted.current === mine) setShown(next);
    };
    setShown(waiting());
    explain(run).then(
      (step) => show({ kind: "step", step }),
      (error: unknown) =>
        show({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      // Of another run that is asked about next, the engine stops this one itself.
      if (wanted.current === mine) void stop();
      wanted.current = undefined;
    };
  }, [run, runs, asked]);
  useEffect(() => {
    // The button that had the focus is gone.
    if (shown.kind === "stopped") again.current?.focus();
  }, [shown.kind]);
  if (run === undefined)
    return (
      <div class="explain">
        <p>There is no training whose step could be explained: start one.</p>
      </div>
    );
  const stopNow = (): void => {
    wanted.current = undefined;
    setShown({ kind: "stopped" });
    void stop();
  };
  return (
    <div class="explain">
      <p role="status" class={shown.kind === "failed" ? "explain-failed" : "explain-about"}>
        {shown.kind === "waiting"
          ? WHAT[progress?.stage ?? "waiting"]
          : shown.kind === "stopped"
            ? "Stopped. Nothing else was: a training goes on."
            : shown.kind === "failed"
              ? shown.message
              : shown.step.about}
      </p>
      {shown.kind === "waiting" && <Waiting since={shown.since} progress={progress} onStop={stopNow} />}
      {shown.kind === "step" && <Step step={shown.step} />}
      <button
        type="button"
        ref={again}
        hidden={shown.kind === "waiting"}
        onClick={() => setAsked((count) => count + 1)}
      >
        Explain again
      </button>
    </div>
  );
}

const WHAT: Readonly<Record<ExplainProgress["stage"], string>> = {
  waiting: "The step is explained as soon as the training is between two steps.",
  planning: "Kernels are planned for the step.",
  compiling: "Kernels are compiled that the device does not have yet. A training waits meanwhile.",
  timing: "Kernels are timed, with random inputs. A training waits meanwhile.",
};

interface WaitingProps {
  /** As `performance.now` has it. */
  readonly since: number;
  readonly progress: ExplainProgress | undefined;
  readonly onStop: () => void;
}

/** How far it is, for how long it has been going on, and the button that ends it. */
function Waiting({ since, progress, onStop }: WaitingProps) {
  const [now, setNow] = useState(since);
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const { stage, done, total } = progress ?? {};
  const part = done === undefined ? "" : stage === "compiling" ? `${done} of ${total} kernels, ` : `run ${done + 1} of at most ${total}, `; // prettier-ignore
  return (
    <div class="explain-waiting">
      <progress aria-label="Explaining" max={total ?? 1} value={done} />
      <span>
        {part}
        {duration((now - since) / 1000)}
      </span>
      <button type="button" onClick={onStop}>
        Stop
      </button>
    </div>
  );
}

const sum = (kernels: readonly ExplainedKernel[], of: (kernel: ExplainedKernel) => number): number =>
  kernels.reduce((all, kernel) => all + of(kernel), 0);

function Step({ step }: { readonly step: StepExplanation }) {
  const { kernels, dispatches, bytes, phase, memory } = step;
  const tiles: readonly (readonly [name: string, value: string])[] = [
    ["Model", phase.toUpperCase()],
    ["Dispatches", countText(dispatches)],
    ["Kernels", countText(kernels.length)],
    ["FLOP", engineering(sum(kernels, ({ flops }) => flops)).trimEnd()],
    ["Moved", bytesText(sum(kernels, ({ bytesRead, bytesWritten }) => bytesRead + bytesWritten))],
    ["Memory", bytesText(bytes)],
    ...(isTimed(step)
      ? ([["GPU time", timeText(1e6 * sum(kernels, ({ milliseconds = 0 }) => milliseconds))]] as const)
      : []),
  ];
  return (
    <>
      <dl class="explain-tiles">
        {tiles.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {step.summary !== undefined && (
        <details>
          <summary>In sentences</summary>
          <ul>
            {step.summary.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </details>
      )}
      <h2>Kernels</h2>
      <Kernels step={step} />
      {memory !== undefined && (
        <>
          <h2>Memory</h2>
          <p>
            Inputs take {bytesText(memory.memory.inputBytes)}, outputs {bytesText(memory.memory.outputBytes)},
            constants {bytesText(memory.memory.constantBytes)}, and{" "}
            {plural(memory.memory.slots.length, "slot")} of temporaries {bytesText(memory.memory.peakBytes)};
            without sharing they would take {bytesText(memory.memory.unsharedBytes)}.
          </p>
          {/* The map escapes every text that it is given; it is the one of `fluxion explain --html`. */}
          <div class="explain-map" dangerouslySetInnerHTML={{ __html: slotMap(memory).text }} />
        </>
      )}
    </>
  );
}

function Kernels({ step }: { readonly step: StepExplanation }) {
  const [order, setOrder] = useState<Order>(usualOrder(step));
  const columns = columnsOf(step);
  const heads = ["Kernel", ...columns.map(({ head }) => head)];
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Kernels of the step">
      <table class="result-table">
        <thead>
          <tr>
            {heads.map((head) => (
              <Head key={head} head={head} order={order} onOrder={setOrder} />
            ))}
            <th scope="col">Code</th>
          </tr>
        </thead>
        <tbody>
          {inOrder(step, order).map((kernel) => (
            <Kernel key={kernel.wgsl} kernel={kernel} columns={columns} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface HeadProps {
  readonly head: string;
  readonly order: Order;
  readonly onOrder: (order: Order) => void;
}

function Head({ head, order, onOrder }: HeadProps) {
  const isName = head === "Kernel";
  const sorted = order.column === head;
  return (
    <th
      scope="col"
      class={isName ? undefined : "number"}
      aria-sort={sorted ? (order.descending ? "descending" : "ascending") : "none"}
    >
      <button
        type="button"
        // Names begin with a, numbers with the most; a second click turns them round.
        onClick={() => onOrder({ column: head, descending: sorted ? !order.descending : !isName })}
      >
        {head}
      </button>
    </th>
  );
}

function Kernel({
  kernel,
  columns,
}: {
  readonly kernel: ExplainedKernel;
  readonly columns: readonly Column[];
}) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <tr>
        <th scope="row">
          {kernel.name}
          {kernel.ops !== undefined && <span class="explain-ops">{kernel.ops}</span>}
        </th>
        {columns.map(({ head, of, text }) => (
          <td key={head} class="number">
            {text(of(kernel))}
          </td>
        ))}
        <td>
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
            WGSL<span class="explain-hidden"> of {kernel.name}</span>
          </button>
        </td>
      </tr>
      {open && (
        <tr>
          <td colSpan={columns.length + 2}>
            <pre tabIndex={0} role="region" aria-label={`WGSL of ${kernel.name}`}>
              {kernel.wgsl}
            </pre>
          </td>
        </tr>
      )}
    </>
  );
}
