/** The editor as a component: it shows the text of the session and its problems. Consumed by playground.tsx. */
import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { createEditor } from "./editor.ts";
import type { Editor } from "./editor.ts";
import { problems, source } from "./session.ts";
import { loadTypes } from "./types/client.ts";

interface EditorViewProps {
  /** Given the editor once there is one. */
  readonly onReady: (editor: Editor) => void;
}

type Types = "loading" | "ready" | { readonly failed: string };

const SAID = {
  loading: "Types are loading; the editor works already.",
  ready: "Types are ready: completion, hover and errors.",
} as const;

export function EditorView({ onReady }: EditorViewProps) {
  const host = useRef<HTMLDivElement>(null);
  const [types, setTypes] = useState<Types>("loading");
  useEffect(() => {
    const element = host.current as HTMLDivElement; // mounted
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    // What the cursor is in is described where it is: a description is not found across a shadow root.
    const hint = document.createElement("span");
    hint.id = "way-out";
    hint.hidden = true;
    hint.textContent = "Tab indents. Press Escape and then Tab to leave the editor.";
    root.append(hint);
    const editor = createEditor({
      root,
      text: source.value,
      label: "Declaration, in TypeScript",
      onChange: (text) => {
        source.value = text;
      },
    });
    const stopShowing = effect(() => editor.showProblems(problems.value));
    let mounted = true;
    void (async () => {
      try {
        const worker = await loadTypes();
        if (!mounted) return;
        await editor.useTypes(worker);
        setTypes("ready");
      } catch (error) {
        setTypes({ failed: error instanceof Error ? error.message : String(error) });
      }
    })();
    onReady(editor);
    return () => {
      mounted = false;
      stopShowing();
      editor.destroy();
      root.replaceChildren();
    };
  }, []);
  return (
    <>
      <div class="play-editor" ref={host} />
      <p class="play-hint">
        <kbd>Tab</kbd> indents; <kbd>Esc</kbd> then <kbd>Tab</kbd> leaves the editor; <kbd>F8</kbd> goes to
        the next problem.{" "}
        <span role="status" data-types={typeof types === "string" ? types : "failed"}>
          {typeof types === "string" ? SAID[types] : `Types could not be loaded: ${types.failed}`}
        </span>
      </p>
    </>
  );
}
