/** The device tfjs:webgl in a browser, against the interpreter. */
import { testBackend } from "../support/tfjs-browser.ts";

await testBackend("webgl");
