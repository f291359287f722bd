/** The engine as a worker. Started by engine/connect.ts, which wraps it for the page. */
import { expose } from "comlink";
import { onlyConfined } from "./confined-worker.ts";
import { StudioEngine } from "./engine.ts";

onlyConfined();
expose(new StudioEngine());
