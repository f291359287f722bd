/** The engine as a worker. Started by engine/connect.ts, which wraps it for the page. */
import { expose } from "comlink";
import { StudioEngine } from "./engine.ts";

expose(new StudioEngine());
