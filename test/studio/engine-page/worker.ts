/** The engine, in a browser that lacks what the worker's name says, or fails when it is told to. Consumed by page.ts. */
import { expose } from "comlink";
import { StudioEngine } from "../../../studio/src/engine/engine.ts";
import { tamper } from "./tamper.ts";

tamper(self.name);
expose(new StudioEngine());
