/**
 * Files that are dropped anywhere on the page, or chosen: a run of the command line (its folder or its files) is taken in, a module is the
 * declaration of a run that has one, any other single file becomes the text to learn from. Consumed by app.tsx and train/.
 */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Studio } from "../engine/client.ts";
import { isModuleName } from "../../../src/runtime/user-exports.ts";
import { LARGEST_TEXT } from "../engine/protocol.ts";
import { bytes } from "./format.ts";
import { show } from "./route.ts";

/** The text to learn from, if it is not the bundled one. */
export const ownText = signal<File | undefined>(undefined);

/** What only a run has. Its log is no such file: a text to learn from may have a name like that. */
const isOfRun = ({ name }: File): boolean => name.endsWith(".safetensors") || name.endsWith(".json");

/** Takes what was given, or says why not. */
export async function take(store: Studio, files: readonly File[]): Promise<void> {
  const [first] = files;
  if (first === undefined) return;
  const { lacksText } = store.run.value ?? {};
  const isLacking = ({ name }: File): boolean => name === lacksText;
  const modules = files.filter((file) => isModuleName(file.name) && !isLacking(file));
  const [module] = modules;
  const texts = files.filter((file) => !modules.includes(file));
  const [text] = texts;
  const isDeclared = store.declaration.phase.value !== undefined;
  if (files.some(isOfRun)) {
    // All of them: the engine knows which belong to a run, and the log is one of them.
    await store.importFiles(files);
  } else if (isDeclared && module !== undefined && modules.length === 1 && texts.every(isLacking)) {
    // Of the run that is looked at: what declares it, and its text.
    if (text !== undefined && !(await store.giveText(text))) return;
    await store.declaration.give(module);
  } else if (isDeclared && files.length === 1 && isLacking(first)) {
    await store.giveText(first);
  } else if (files.length > 1) {
    store.report(
      `${files.length} files were given, and none is of a run: give the folder of a run (config.json, vocabulary.json, *.safetensors), or one text file.`,
    );
  } else if (module !== undefined) {
    store.report(
      `${first.name} is code, which declares a run perhaps: give it with that run's folder or after it. To learn from it as a text, call it ${first.name}.txt.`,
    );
  } else if (first.size > LARGEST_TEXT) {
    store.report(
      `${first.name} has ${bytes(first.size)}, and the studio learns texts of up to ${bytes(LARGEST_TEXT)}: cut it, or train with the command line.`,
    );
  } else if (first.size === 0) {
    store.report(`${first.name} is empty: give a text of a few hundred lines or more.`);
  } else {
    ownText.value = first;
    show("train");
    store.say(`${first.name} is the text to learn from.`);
  }
}

/** The files of a folder that was dropped, and of those in it. */
async function filesOf(entry: FileSystemEntry): Promise<readonly File[]> {
  if (entry.isFile) {
    const file = entry as FileSystemFileEntry; // isFile says so
    return [await new Promise<File>((resolve, reject) => file.file(resolve, reject))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  // A reader gives a hundred entries at a time, and none at the end.
  for (;;) {
    const some = await new Promise<readonly FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) return found;
    for (const inner of some) if (inner.isFile) found.push(...(await filesOf(inner)));
  }
}

async function droppedFiles(data: DataTransfer): Promise<readonly File[]> {
  const plain = [...data.files];
  // Entries can only be asked for while the event is handled.
  const entries = [...data.items].flatMap((item) => item.webkitGetAsEntry?.() ?? []);
  if (!entries.some(({ isDirectory }) => isDirectory)) return plain;
  return (await Promise.all(entries.map(filesOf))).flat();
}

/** Listens on the whole page. */
export function useDrop(store: Studio): void {
  useEffect(() => {
    let depth = 0;
    const mark = (change: number) => (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      depth = Math.max(0, depth + change);
      document.body.classList.toggle("dropping", depth > 0);
    };
    const enter = mark(1);
    const over = mark(0);
    const leave = mark(-1);
    const drop = (event: DragEvent): void => {
      depth = 0;
      document.body.classList.remove("dropping");
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      droppedFiles(event.dataTransfer)
        .then((files) => take(store, files))
        .catch(() => store.report("What was dropped could not be read: choose the files instead."));
    };
    const listeners = [
      ["dragenter", enter],
      ["dragover", over],
      ["dragleave", leave],
      ["drop", drop],
    ] as const;
    for (const [name, listener] of listeners) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of listeners) removeEventListener(name, listener);
    };
  }, []);
}
