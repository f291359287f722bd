/** Texts of the weights as they were while they learned, the newest first. Consumed by train-view.tsx. */
import type { Studio } from "../../engine/client.ts";
import { count } from "../format.ts";

export function Texts({ store }: { readonly store: Studio }) {
  const shown = store.texts.value;
  if (shown.length === 0) return null;
  return (
    <section class="section" aria-labelledby="texts-title">
      <header>
        <h2 id="texts-title">What it writes as it learns</h2>
        <span class="soft small">A bar (|) stands between two lines of the text.</span>
      </header>
      <ol class="appearing" reversed>
        {shown.slice(0, 8).map(({ phase, done, texts }) => (
          <li key={`${phase}${done}`}>
            <span class={`when small numeric ${phase}`}>
              {phase.toUpperCase()} <span class="soft">after {count(done)}</span>
            </span>
            <div>
              {texts.slice(0, 3).map((text, i) => (
                <p key={i}>{text}</p>
              ))}
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}
