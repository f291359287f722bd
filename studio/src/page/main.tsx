/** Where the page begins: the engine is started, the shell is drawn, and what the browser keeps is shown. */
import { render } from "preact";
import { connect } from "../engine/connect.ts";
import { studio } from "../engine/client.ts";
import { withDeclarations } from "../engine/declared.ts";
import { App } from "./app.tsx";
import { applyTheme } from "./theme.ts";

applyTheme();
const store = studio(
  withDeclarations(
    connect((message) =>
      store.report(
        `The engine stopped${message === "" ? "" : ` (${message})`}. Reload the page: what was saved is kept.`,
      ),
    ),
  ),
);
render(<App store={store} />, document.getElementById("page") as HTMLElement); // index.html has it
void store.open();
