/**
 * Colours of the editor: names of parts of the language as classes, and all colours from the page's CSS variables, so that light and dark
 * are the page's. Consumed by editor.ts; the classes' colours are set here too, since page styles do not reach into a shadow root.
 */
import { syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";

/** Which parts of the language look alike, by the names that the parser's tags have. */
const CLASSES: readonly (readonly [names: RegExp, className: string])[] = [
  [/comment/i, "tok-comment"],
  [/string|regexp|escape/i, "tok-string"],
  [/number|bool|null|atom/i, "tok-number"],
  [/keyword|operatorKeyword|modifier|self/i, "tok-keyword"],
  [/typeName|className|namespace/i, "tok-type"],
  [/function\(/i, "tok-function"],
  [/propertyName/i, "tok-property"],
];

type Highlighter = Parameters<typeof syntaxHighlighting>[0];

const highlighter: Highlighter = {
  style(tags) {
    const names = tags.map(String).join(" ");
    return CLASSES.find(([pattern]) => pattern.test(names))?.[1] ?? null;
  },
};

export const colours = syntaxHighlighting(highlighter);

const MONO = `ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace`;

export const theme = EditorView.theme({
  "&": { color: "var(--play-ink)", backgroundColor: "var(--play-card)", fontSize: "0.86rem", height: "100%" },
  "&.cm-focused": { outline: "2px solid var(--play-accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: MONO, lineHeight: "1.5" },
  ".cm-content": { caretColor: "var(--play-ink)", padding: "8px 0" },
  "&.cm-focused .cm-cursor": { borderLeftColor: "var(--play-ink)", borderLeftWidth: "2px" },
  ".cm-gutters": {
    color: "var(--play-soft)",
    backgroundColor: "var(--play-card)",
    borderRight: "1px solid var(--play-line)",
  },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--play-active)" },
  "& .cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    backgroundColor: "var(--play-selection)",
  },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--play-selection)" },
  ".cm-tooltip": {
    color: "var(--play-ink)",
    backgroundColor: "var(--play-card)",
    border: "1px solid var(--play-edge)",
    borderRadius: "6px",
    maxWidth: "min(640px, 90vw)",
    fontSize: "0.82rem",
  },
  ".cm-tooltip-hover > div": { padding: "4px 8px", fontFamily: MONO, whiteSpace: "pre-wrap" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    color: "var(--play-on-ink)",
    backgroundColor: "var(--play-accent)",
  },
  ".cm-diagnostic": { fontFamily: "inherit", whiteSpace: "pre-wrap" },
  ".cm-panels": { color: "var(--play-ink)", backgroundColor: "var(--play-card)" },
  ".cm-panel.cm-panel-lint ul [aria-selected]": {
    backgroundColor: "var(--play-selection)",
    color: "inherit",
  },
  ".tok-comment": { color: "var(--play-soft)", fontStyle: "italic" },
  ".tok-string": { color: "var(--play-string)" },
  ".tok-number": { color: "var(--play-number)" },
  ".tok-keyword": { color: "var(--play-keyword)" },
  ".tok-type": { color: "var(--play-type)" },
  ".tok-function": { color: "var(--play-function)" },
});
