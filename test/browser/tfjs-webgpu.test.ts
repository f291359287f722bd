/** The device tfjs:webgpu in a browser, against the interpreter. */
import { testBackend } from "../support/tfjs-browser.ts";

await testBackend("webgpu");
