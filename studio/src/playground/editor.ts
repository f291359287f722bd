/**
 * The editor: CodeMirror with the language's colours from the page's CSS variables, and types once there are some.
 *
 * Consumed by editor-view.tsx. It lives in a shadow root: CodeMirror writes its style sheet as it goes along, which a page that allows no
 * inline styles takes only where sheets can be adopted.
 *
 * Tab indents, and Escape before it lets it leave the editor, as CodeMirror has it.
 */
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { javascript } from "@codemirror/lang-javascript";
import { bracketMatching, indentOnInput } from "@codemirror/language";
import { forceLinting, linter, lintGutter, lintKeymap } from "@codemirror/lint";
import type { Diagnostic } from "@codemirror/lint";
import { Compartment, EditorState, StateEffect, StateField } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import {
  tsAutocompleteWorker,
  tsFacetWorker,
  tsHoverWorker,
  tsLinterWorker,
  tsSyncWorker,
} from "@valtown/codemirror-ts";
import type { WorkerShape } from "@valtown/codemirror-ts/worker";
import { colours, theme } from "./editor-theme.ts";
import { FILE } from "./messages.ts";
import type { Problem } from "../user-code/problem.ts";

export interface Editor {
  /** Replaces the whole text; it can be undone. */
  replace(text: string): void;
  /** From now on with completion, hovers and squiggles. */
  useTypes(worker: WorkerShape): Promise<void>;
  /** Problems that are shown at their lines, until the text changes. */
  showProblems(problems: readonly Problem[]): void;
  /** Puts the cursor on a line, and the focus into the editor. */
  goTo(line: number, column?: number): void;
  destroy(): void;
}

export interface EditorOptions {
  readonly root: ShadowRoot;
  readonly text: string;
  readonly label: string;
  readonly onChange: (text: string) => void;
}

/** As long as it takes: any other key ends it. */
const UNTIL_THE_NEXT_KEY = 1e9;

/** After Escape, Tab leaves the editor, also where the key did something else: CodeMirror then takes it for that alone. */
const wayOut = EditorView.domEventObservers({
  keydown(event, view) {
    if (event.key !== "Escape") return;
    // CodeMirror's own handling of the key sets seconds.
    queueMicrotask(() => view.setTabFocusMode(UNTIL_THE_NEXT_KEY));
  },
});

/**
 * What is typed over a selection. Left to the browser, it would give the new text the style of the old one by an inline style, which the page's
 * policy forbids and reports.
 */
const typedOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { inputType, data: text, isComposing } = event as InputEvent; // as its type says
    const { from, to, empty } = view.state.selection.main;
    if (inputType !== "insertText" || typeof text !== "string" || isComposing || empty) return false;
    const insert = () =>
      view.state.update(view.state.replaceSelection(text), { userEvent: "input.type", scrollIntoView: true });
    const handlers = view.state.facet(EditorView.inputHandler);
    if (!handlers.some((handler) => handler(view, from, to, text, insert))) view.dispatch(insert());
    return true;
  },
});

const setProblems = StateEffect.define<readonly Problem[]>();

/** Problems of the last run; what is edited may be mended. */
const problemsField = StateField.define<readonly Problem[]>({
  create: () => [],
  update(problems, transaction) {
    for (const effect of transaction.effects) if (effect.is(setProblems)) return effect.value;
    return transaction.docChanged ? [] : problems;
  },
});

function diagnosticOf({ message, line = 1, column }: Problem, state: EditorState): Diagnostic {
  const { from, to, text } = state.doc.line(Math.min(state.doc.lines, Math.max(1, line)));
  const start = column === undefined ? text.search(/\S|$/) : Math.min(column - 1, text.length);
  return { from: Math.min(from + start, to), to, message, severity: "error", source: "run" };
}

export function createEditor({ root, text, label, onChange }: EditorOptions): Editor {
  const types = new Compartment();
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        lintGutter(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        closeBrackets(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        javascript({ typescript: true }),
        colours,
        theme,
        EditorState.tabSize.of(2),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({
          "aria-label": label,
          "aria-describedby": "way-out",
          tabindex: "0", // as it is for browsers; said for those who look for it
        }),
        wayOut,
        typedOver,
        problemsField,
        linter(
          (view) => view.state.field(problemsField).map((problem) => diagnosticOf(problem, view.state)),
          {
            delay: 0,
            needsRefresh: (update) =>
              update.state.field(problemsField) !== update.startState.field(problemsField),
          },
        ),
        types.of(autocompletion()),
        keymap.of([
          ...closeBracketsKeymap,
          ...defaultKeymap,
          ...historyKeymap,
          ...completionKeymap,
          ...lintKeymap,
          indentWithTab,
        ]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    replace(next) {
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: next },
        selection: { anchor: 0 },
      });
    },
    async useTypes(worker) {
      await worker.updateFile({ path: FILE, code: view.state.doc.toString() });
      view.dispatch({
        effects: types.reconfigure([
          tsFacetWorker.of({ worker, path: FILE }),
          tsSyncWorker(),
          tsLinterWorker(),
          tsHoverWorker(),
          autocompletion({ override: [tsAutocompleteWorker()] }),
        ]),
      });
      forceLinting(view);
    },
    showProblems(problems) {
      view.dispatch({ effects: setProblems.of(problems) });
      forceLinting(view);
    },
    goTo(line, column = 1) {
      const place = view.state.doc.line(Math.min(view.state.doc.lines, Math.max(1, line)));
      const anchor = Math.min(place.from + column - 1, place.to);
      view.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
      view.focus();
    },
    destroy: () => view.destroy(),
  };
}
