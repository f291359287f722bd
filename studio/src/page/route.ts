/** Which tab is shown: the fragment of the address, so that tabs are links and the browser's history works. Consumed by app.tsx. */
import { signal } from "@preact/signals";

export const TABS = [
  ["train", "Train"],
  ["write", "Write"],
  ["playground", "Playground"],
  ["explain", "Explain"],
] as const;
export type Tab = (typeof TABS)[number][0];

const current = (): Tab => TABS.find(([name]) => `#${name}` === location.hash)?.[0] ?? "train";

export const tab = signal<Tab>(current());
addEventListener("hashchange", () => {
  tab.value = current();
});
