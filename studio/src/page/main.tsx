/** Where the page begins. */
import { render } from "preact";

render(<h1>Fluxion studio</h1>, document.getElementById("page") as HTMLElement); // index.html has it
