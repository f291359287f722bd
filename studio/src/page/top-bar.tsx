/** The bar above all views: name, tabs, device, colours. Consumed by app.tsx. */
import type { Studio } from "../engine/client.ts";
import { TABS, tab } from "./route.ts";
import { isDark, toggleTheme } from "./theme.ts";

function DeviceChip({ store }: { readonly store: Studio }) {
  const device = store.device.value;
  if (device === undefined)
    return (
      <span class="chip soft small" role="status">
        {store.activity.value === "opening" ? "Opening a device…" : "No device"}
      </span>
    );
  return (
    <details class="chip ready">
      <summary>
        <span class="unseen">Computes on </span>
        {device.name}
      </summary>
      <div>
        <p>{device.detail}</p>
        {device.passedOver.map((reason) => (
          <p key={reason} class="soft">
            {reason}
          </p>
        ))}
      </div>
    </details>
  );
}

export function TopBar({ store }: { readonly store: Studio }) {
  return (
    <header class="top">
      <div class="brand">
        Fluxion <span>studio</span>
      </div>
      <nav class="tabs" aria-label="Views">
        {TABS.map(([name, label]) => (
          <a key={name} href={`#${name}`} aria-current={tab.value === name ? "page" : undefined}>
            {label}
          </a>
        ))}
      </nav>
      <div class="aside">
        <DeviceChip store={store} />
        <button
          type="button"
          class="plain icon"
          aria-label="Dark colours"
          aria-pressed={isDark()}
          onClick={toggleTheme}
        >
          <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
            <circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.4" />
            <path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor" />
          </svg>
        </button>
      </div>
    </header>
  );
}
