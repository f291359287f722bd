/** The device tfjs:webgpu in a browser, against the interpreter. A step on the software adapter takes seconds, so they are few. */
import { testBackend } from "../support/tfjs-browser.ts";

await testBackend("webgpu", 4);
