/**
 * The engine in the worker that runs the declaration of one run, in a file of the user's. It has the page's files and a device of its own, so
 * that the run is sampled and trained as any other is; and it can be ended at any time, with code that never ends.
 *
 * Started by declared-connect.ts, from a blob that imports this file and hands the user's module over.
 */
import { expose } from "comlink";
import { located } from "../user-code/blob.ts";
import { exportsOf, givenCode, problemOf } from "../user-code/module.ts";
import { sentenceOf } from "../user-code/problem.ts";
import { onlyConfined } from "./confined-worker.ts";
import { StudioEngine } from "./engine.ts";
import type { UsersCode } from "./engine.ts";

/** What the worker is told of the code. */
export interface AboutDeclaration {
  /** What the file is called. */
  readonly file: string;
  /** Of the source map of what runs. */
  readonly mappings: string;
}

/** What the worker says without being asked: something was thrown that no call notices, in a sentence. */
export interface Broken {
  readonly broken: string;
}

const given = givenCode().then(({ module, about }) => ({ module, about: about as AboutDeclaration })); // as declared-connect.ts says it
let about: AboutDeclaration | undefined;

const users: UsersCode = {
  async exports() {
    const { module, about: told } = await given;
    about = told;
    return exportsOf(module, {
      file: `${told.file} runs alone here; write into it what it imports, or use the command line`,
      package: 'a declaration may import "fluxion" alone here',
    });
  },
  sentence(error) {
    const problem = problemOf(error);
    return about === undefined ? problem.message : sentenceOf(located(problem, about), about.file);
  },
};

/** What fails is told with the user's line: of an error that goes to the page, nothing but its message can be read there. */
const engine = new Proxy(new StudioEngine(users), {
  get(target, name) {
    const value: unknown = Reflect.get(target, name);
    if (typeof value !== "function") return value;
    return async (...args: readonly unknown[]) => {
      try {
        return (await Reflect.apply(value, target, args)) as unknown;
      } catch (error) {
        throw new Error(users.sentence(error), { cause: error });
      }
    };
  },
});

/** What nothing waits for and nobody catches, as declared-connect.ts hears it. */
const broken = (error: unknown): void => postMessage({ broken: users.sentence(error) } satisfies Broken);
addEventListener("error", (event) => {
  event.preventDefault();
  broken(event.error);
});
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  broken(event.reason);
});

onlyConfined();
// A worker that closes itself tells nobody, and would be waited for.
Object.assign(globalThis, {
  close() {
    throw new Error("close() cannot be called here: the page ends the declaration when it is stopped");
  },
});
expose(engine);
