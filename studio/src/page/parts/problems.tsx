/** What did not work: a sentence each, until it is dismissed. Consumed by app.tsx. */
import type { Studio } from "../../engine/client.ts";

export function Problems({ store }: { readonly store: Studio }) {
  const problems = store.problems.value;
  // The list is always there, so that screen readers hear what enters it.
  return (
    <div class="alerts" role="alert">
      {problems.length > 0 && (
        <ul class="problems">
          {problems.map(({ id, text }) => (
            <li key={id}>
              <p>{text}</p>
              <button type="button" class="plain" onClick={() => store.dismiss(id)}>
                Dismiss<span class="unseen"> this message</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
