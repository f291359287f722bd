/**
 * Runs kernels of the kernel IR on the host, as its definition says, and finds what a GPU keeps quiet about: loads and stores out of
 * bounds, races, workgroup memory that is read before it is written, barriers that not all lanes reach, and ill-typed code.
 *
 * A lane runs until its next barrier, then the next lane does. Two lanes that touch one element without a barrier between them,
 * where one writes, are a race, whatever the order did to the result. Barriers order workgroup memory only: an element of
 * a storage buffer that one lane writes, no other lane of the dispatch may touch. Lanes of a subgroup exchange values where all of them
 * reach the same place, and do there what is done with fragments.
 *
 * Consumed by tests of everything that makes kernels. A new expression or statement needs a case below.
 */
import { COMPARE_OPS } from "../../src/dsl/program/program.ts";
import type { ExactData } from "../../src/compiler/host-tensor.ts";
import { scalarOf } from "../../src/compiler/kernel/ir.ts";
import type { Expr, Kernel, Scalar, Statement } from "../../src/compiler/kernel/ir.ts";
import { FRAGMENT_HELPERS, fragmentCode } from "./run-fragment.ts";
import { Memory } from "./run-memory.ts";
import { QUAD_HELPERS, quadCode } from "./run-quad.ts";
import { SCALAR_HELPERS } from "./run-scalar.ts";
import { advance } from "./run-subgroup.ts";
import type { Steps } from "./run-subgroup.ts";

/** What a dispatch is given. */
export interface KernelRun {
  /** One for each of the kernel's buffers, of its dtype's array type; f32 and f16 values as they round. */
  readonly buffers: readonly ExactData[];
  readonly params?: readonly number[];
  readonly workgroups: number;
  /** Lanes of a subgroup; neighbours are in one. Default 8. */
  readonly subgroup?: number;
}

/** Runs one dispatch; the buffers that the kernel stores to are changed. @throws Error on the first thing that is wrong. */
export function runKernel(
  kernel: Kernel,
  { buffers, params = [], workgroups, subgroup = 8 }: KernelRun,
): void {
  const wrong = (text: string): never => {
    throw new Error(`kernel ${kernel.name}: ${text}`);
  };
  if (buffers.length !== kernel.buffers.length)
    wrong(`takes ${kernel.buffers.length} buffers, got ${buffers.length}`);
  if (params.length !== kernel.params) wrong(`takes ${kernel.params} parameters, got ${params.length}`);
  const code = compiled(kernel);
  const memory = new Memory(kernel, buffers, wrong);
  for (let workgroup = 0; workgroup < workgroups; workgroup++) {
    const waiting: (Steps | undefined)[] = [];
    memory.next();
    for (let lane = 0; lane < kernel.lanes; lane++) {
      memory.lane(workgroup * kernel.lanes + lane);
      const steps = code.run(memory, params, workgroup, lane, subgroup);
      waiting.push(code.waits ? (steps as Steps) : undefined);
    }
    while (code.waits) {
      const reached = new Set<number | undefined>();
      for (let first = 0; first < kernel.lanes; first += subgroup) {
        const lanes = (waiting as readonly Steps[]).slice(first, first + subgroup);
        const resume = (lane: number): void => memory.lane(workgroup * kernel.lanes + first + lane);
        for (const barrier of advance(lanes, resume, () => memory.together(), wrong)) reached.add(barrier);
      }
      if (reached.size > 1)
        wrong(`the lanes of workgroup ${workgroup} wait at different barriers, or some at none`);
      if (reached.has(undefined)) break;
      memory.synchronize();
    }
  }
}

/** What the compiled code calls. */
const HELPERS = { ...SCALAR_HELPERS, ...FRAGMENT_HELPERS, ...QUAD_HELPERS };

type Lane = (
  memory: Memory,
  params: readonly number[],
  workgroup: number,
  lane: number,
  subgroup: number,
) => Steps | void;

interface Code {
  /** With barriers or exchanges, a generator that yields each as it reaches it. */
  readonly waits: boolean;
  readonly run: Lane;
}

const CODE = new WeakMap<Kernel, Code>();

function compiled(kernel: Kernel): Code {
  const known = CODE.get(kernel);
  if (known !== undefined) return known;
  const writer = new CodeWriter(kernel);
  const body = writer.block(kernel.body);
  const waits = writer.barriers + writer.exchanges > 0;
  const source = `return function${waits ? "*" : ""} (memory, params, workgroup, lane, subgroup) {\n${body}}`;
  // The text was made below, from a kernel: compiled, it runs many times faster than a walk over the tree. Function has no typed result.
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function(...Object.keys(HELPERS), source) as (...helpers: unknown[]) => Lane;
  const code: Code = { waits, run: make(...Object.values(HELPERS)) };
  CODE.set(kernel, code);
  return code;
}

/** Writes JavaScript, checking names and types on the way. */
class CodeWriter {
  readonly #kernel: Kernel;
  barriers = 0;
  exchanges = 0;
  /** Names of quads of f16. */
  readonly #halves = new Set<string>();
  #scopes: Map<string, { readonly type: Scalar; readonly variable: boolean }>[] = [new Map()];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  #require(condition: boolean, text: () => string): void {
    if (!condition) throw new Error(`kernel ${this.#kernel.name}: ${text()}`);
  }

  #refuseSingle(memory: { readonly quads?: true } | undefined, what: string): void {
    this.#require(memory?.quads !== true, () => `stores a single element to ${what}, which has quads`);
  }

  #bind(name: string, type: Scalar, variable: boolean): string {
    this.#require(!this.#scopes.some((scope) => scope.has(name)), () => `binds ${name} twice`);
    this.#scopes.at(-1)?.set(name, { type, variable });
    return `$${name}`;
  }

  #find(name: string): { readonly type: Scalar; readonly variable: boolean } {
    const found = this.#scopes.findLast((scope) => scope.has(name))?.get(name);
    this.#require(found !== undefined, () => `uses ${name}, which nothing in scope binds`);
    return found as { readonly type: Scalar; readonly variable: boolean }; // checked above
  }

  #typed(x: Expr, type: Scalar, what: string): string {
    this.#require(x.type === type, () => `${what} is ${x.type}, expected ${type}`);
    return this.#expression(x);
  }

  block(statements: readonly Statement[], before: () => void = () => undefined): string {
    this.#scopes.push(new Map());
    before();
    const text = statements.map((statement) => this.#statement(statement)).join("");
    this.#scopes.pop();
    return text;
  }

  #statement(s: Statement): string {
    switch (s.kind) {
      case "let": {
        const value = this.#expression(s.value);
        return `const ${this.#bind(s.name, s.value.type, false)} = ${value};\n`;
      }
      case "var": {
        const value = this.#expression(s.value);
        return `let ${this.#bind(s.name, s.value.type, true)} = ${value};\n`;
      }
      case "assign": {
        const { type, variable } = this.#find(s.name);
        this.#require(variable, () => `assigns to ${s.name}, which is not a variable`);
        return `$${s.name} = ${this.#typed(s.value, type, s.name)};\n`;
      }
      case "store": {
        const buffer = this.#kernel.buffers[s.buffer];
        this.#require(
          buffer !== undefined && buffer.access !== "read",
          () => `stores to buffer ${s.buffer}, which is not one to store to`,
        );
        this.#refuseSingle(buffer, `buffer ${s.buffer}`);
        const type = scalarOf(buffer?.dtype ?? "f32");
        return `memory.store(${s.buffer}, ${this.#typed(s.at, "u32", "an index")}, ${this.#typed(s.value, type, "a stored value")});\n`;
      }
      case "storeShared": {
        const array = this.#kernel.shared[s.array];
        this.#require(array !== undefined, () => `has no workgroup array ${s.array}`);
        this.#refuseSingle(array, `workgroup array ${s.array}`);
        const value = this.#typed(s.value, array?.type ?? "f32", "a stored value");
        return `memory.storeShared(${s.array}, ${this.#typed(s.at, "u32", "an index")}, ${value});\n`;
      }
      case "for": {
        const [from, to, step] = [s.from, s.to, s.step].map((x) => this.#typed(x, "u32", "a loop's bound"));
        let name = "";
        const body = this.block(s.body, () => (name = this.#bind(s.name, "u32", false)));
        return (
          `for (let ${name} = ${from}, to${name} = ${to}, step${name} = ${step}; ${name} < to${name}; ${name} += step${name}) {\n` +
          `${body}}\n`
        );
      }
      case "if":
        return `if (${this.#typed(s.condition, "bool", "a condition")} !== 0) {\n${this.block(s.body)}} else {\n${this.block(s.otherwise)}}\n`;
      case "barrier":
        return `yield ${this.barriers++};\n`;
      case "threefry": {
        const words = [...s.key, ...s.counter].map((x) => this.#typed(x, "u32", "a word of threefry"));
        const names = s.names.map((name) => this.#bind(name, "u32", false));
        return `const [${names.join(", ")}] = threefry(${words.join(", ")});\n`;
      }
      case "letQuad":
      case "varQuad":
      case "assignQuad":
      case "storeQuad":
      case "addScaled":
        return quadCode(this.#kernel, s, (x, type, what) => this.#typed(x, type, what), this.#halves);
      case "zeroFragment":
      case "loadFragment":
      case "multiplyAccumulate":
      case "storeFragment":
        return fragmentCode(s, {
          kernel: this.#kernel,
          index: (x) => this.#typed(x, "u32", "a fragment's place"),
          require: (condition, text) => this.#require(condition, text),
          together: (same, work) =>
            `(yield { exchange: ${this.exchanges++}, same: [${same.join(", ")}], work: (same) => ${work} })`,
        });
    }
  }

  #expression(x: Expr): string {
    switch (x.kind) {
      case "literal":
        return Object.is(x.value, -0) ? "-0" : `${x.type === "f32" ? Math.fround(x.value) : x.value}`;
      case "name":
        this.#require(this.#find(x.name).type === x.type, () => `uses ${x.name} as ${x.type}, it is not`);
        return `$${x.name}`;
      case "workgroup":
      case "lane":
        return x.kind;
      case "component":
        this.#require(
          this.#halves.has(x.quad) === (x.half === true),
          () => `takes ${x.quad} for another type`,
        );
        return `$${x.quad}[${x.index}]`;
      case "param":
        this.#require(x.index < this.#kernel.params, () => `has no parameter ${x.index}`);
        return `params[${x.index}]`;
      case "load": {
        const buffer = this.#kernel.buffers[x.buffer];
        this.#require(
          buffer !== undefined && buffer.access !== "write",
          () => `loads from buffer ${x.buffer}, which is not one to load from`,
        );
        this.#require(
          scalarOf(buffer?.dtype ?? "f32") === x.type,
          () => `loads ${x.type} from buffer ${x.buffer}`,
        );
        return `memory.load(${x.buffer}, ${this.#typed(x.at, "u32", "an index")})`;
      }
      case "shared":
        this.#require(
          this.#kernel.shared[x.array]?.type === x.type,
          () => `loads ${x.type} from workgroup array ${x.array}`,
        );
        return `memory.loadShared(${x.array}, ${this.#typed(x.at, "u32", "an index")})`;
      case "subgroup":
        return { size: "subgroup", lane: "(lane % subgroup)", number: "Math.floor(lane / subgroup)" }[x.what];
      case "subgroupSum":
        return this.#exchange(x.x, x.type, `"sum"`);
      case "shuffle":
        return this.#exchange(x.x, x.type, this.#typed(x.lane, "u32", "the lane of a shuffle"));
      case "unary":
        return `ops.${x.op}(${this.#typed(x.x, x.type, `the operand of ${x.op}`)}, "${x.type}")`;
      case "binary":
        return this.#binary(x);
      case "select": {
        const condition = this.#typed(x.condition, "bool", "the condition of a select");
        const [a, b] = [x.x, x.y].map((side) => this.#typed(side, x.type, "a side of a select"));
        return `pick(${condition}, ${a}, ${b})`;
      }
      case "cast":
        return `convert(${this.#expression(x.x)}, "${x.x.type}", "${x.type}")`;
      case "isNan":
        return `Number(Number.isNaN(${this.#typed(x.x, "f32", "the operand of isNan")}))`;
    }
  }

  #exchange(x: Expr, type: Scalar, from: string): string {
    const value = this.#typed(x, type, "a value that is exchanged");
    return `(yield { exchange: ${this.exchanges++}, value: ${value}, from: ${from}, type: "${type}" })`;
  }

  #binary({ op, type, x, y }: Expr & { readonly kind: "binary" }): string {
    const compares = COMPARE_OPS.some((name) => name === op);
    this.#require(compares ? type === "bool" : type === x.type, () => `${op} of ${x.type} is typed ${type}`);
    const [a, b] = [this.#expression(x), this.#typed(y, x.type, `the second operand of ${op}`)];
    const sign = { add: "+", sub: "-", mul: "*" }[op as string];
    // What loops spend their time on, written out.
    if (sign !== undefined && type === "f32") return `fround(${a} ${sign} ${b})`;
    if (sign === "*") return type === "u32" ? `(imul(${a}, ${b}) >>> 0)` : `imul(${a}, ${b})`;
    if (sign !== undefined) return `((${a} ${sign} ${b}) ${type === "u32" ? ">>>" : "|"} 0)`;
    return `ops.${op}(${a}, ${b}, "${x.type}")`;
  }
}
