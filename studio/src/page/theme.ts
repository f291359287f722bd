/** Light or dark: as the system is, until the visitor says otherwise. Consumed by main.tsx and top-bar.tsx. */
import { signal } from "@preact/signals";

const KEY = "fluxion-studio-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** Storage may be forbidden; then the choice lasts as long as the page. */
function kept(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

const choice = signal<string | null>(kept());
const systemDark = signal(system.matches);
system.addEventListener("change", () => {
  systemDark.value = system.matches;
});

export const isDark = (): boolean =>
  choice.value === "dark" || (choice.value !== "light" && systemDark.value);

export function applyTheme(): void {
  if (choice.value === "dark" || choice.value === "light")
    document.documentElement.dataset["theme"] = choice.value;
}

export function toggleTheme(): void {
  choice.value = isDark() ? "light" : "dark";
  try {
    localStorage.setItem(KEY, choice.value);
  } catch {
    // Not kept then.
  }
  applyTheme();
}
