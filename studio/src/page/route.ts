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
/** Goes to a tab as its link does. The address has to tell the same: the link of the tab that it names leads nowhere. */
export function show(name: Tab): void {
  location.hash = name;
  tab.value = name;
}
addEventListener("hashchange", () => {
  tab.value = current();
});
