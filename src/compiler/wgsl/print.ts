/**
 * Prints a kernel as a WGSL module. Its entry point is `main`. Bindings of group 0: the kernel's buffers, in order; after
 * them its parameters, if it has any, as a uniform buffer of u32 padded to a multiple of four. Workgroups are numbered along x, then y.
 *
 * The text depends on nothing but the code: kernels that differ in their names share it, so it is the key of a cache of pipelines.
 *
 * Consumed by the WebGPU runtime. A new expression or statement needs a case below; the compiler names the switch.
 */
import type {
  Access,
  Expr,
  Fragment,
  FragmentPlace,
  Kernel,
  KernelBuffer,
  Quad,
  QuadPlace,
  Statement,
} from "../kernel/ir.ts";
import { atom, call, element, infix } from "./code.ts";
import type { Code } from "./code.ts";
import { callHelper, helpersOf } from "./helpers.ts";
import { literalCode, runtimeCode } from "./literal.ts";
import { ALWAYS, binaryCode, castCode, isNanCode, selectCode, unaryCode } from "./ops.ts";
import { storedType } from "./storage.ts";
import type { WgslOptions } from "./storage.ts";

export function printWgsl(kernel: Kernel, options: WgslOptions): string {
  const vectors = Math.ceil(kernel.params / 4);
  const declarations = [
    ...kernel.buffers.map(
      ({ dtype, access, quads }, i) =>
        `@group(0) @binding(${i}) var<storage, ${ACCESS[access]}> ${buffer(i)}: array<${elementType(storedType(dtype, options), quads)}>;`,
    ),
    ...(kernel.params > 0
      ? [`@group(0) @binding(${kernel.buffers.length}) var<uniform> params: array<vec4<u32>, ${vectors}>;`]
      : []),
    ...kernel.shared.map(
      ({ type, length, half, quads }, i) =>
        `var<workgroup> ${shared(i)}: array<${elementType(half === true ? "f16" : type, quads)}, ${quads === true ? length / 4 : length}>;`,
    ),
  ];
  const body = new Printer(kernel, options).block(kernel.body);
  const text = body.join("\n");
  const subgroups = Object.entries(SUBGROUP).filter(([name]) => text.includes(name));
  const main = [
    `@compute @workgroup_size(${kernel.lanes})`,
    `fn main(`,
    `  @builtin(workgroup_id) group: vec3<u32>,`,
    `  @builtin(num_workgroups) groups: vec3<u32>,`,
    `  @builtin(local_invocation_index) lane: u32,`,
    ...subgroups.map(([name, builtin]) => `  @builtin(${builtin}) ${name}: u32,`),
    `) {`,
    `  let workgroup = group.x + group.y * groups.x;`,
    ...(new RegExp(`\\b${ALWAYS}\\b`).test(text) ? [`  let ${ALWAYS} = groups.x > 0u;`] : []),
    // Read once: a compiler that does not know that stores leave them alone would read them again in every round of a loop.
    ...Array.from({ length: vectors }, (_, i) => `  let ${params(i)} = params[${i}];`),
    ...indent(body),
    `}`,
  ].join("\n");
  const half =
    kernel.buffers.some(({ dtype }) => storedType(dtype, options) === "f16") ||
    kernel.shared.some(({ half }) => half === true);
  const enabled = [
    ...(half ? ["enable f16;"] : []),
    ...(text.includes("subgroup") ? ["enable subgroups;"] : []),
    ...(text.includes("subgroup_matrix") ? SUBGROUP_MATRIX : []),
  ];
  return [...enabled, declarations.join("\n"), ...helpersOf(main), main, ""].join("\n");
}

const ACCESS = { read: "read", write: "read_write", readWrite: "read_write" } as const satisfies Record<
  Access,
  string
>;

/** Names of what a subgroup is in a kernel's text, and the builtin values that they are. */
const SUBGROUP = {
  subgroup_size: "subgroup_size",
  subgroup_lane: "subgroup_invocation_id",
  subgroup_number: "subgroup_id",
} as const;

/**
 * The extension, and the check that control flow and places are the same for all lanes of a subgroup turned off: as first specified, it
 * accepts only what is the same for the whole workgroup, and subgroups have different tiles. Directives come before declarations.
 */
const SUBGROUP_MATRIX = [
  "enable chromium_experimental_subgroup_matrix;",
  "diagnostic(off, chromium.subgroup_matrix_uniformity);",
];
/** Names of the extension. */
const ROLE = { left: "left", right: "right", accumulator: "result" } as const satisfies Record<
  Fragment["role"],
  string
>;
const ORDER = { "row-major": "row_major", "column-major": "col_major" } as const satisfies Record<
  FragmentPlace["order"],
  string
>;
/** Columns come before rows, for each role. */
const fragmentType = ({ role, element, rows, columns }: Fragment): string =>
  `subgroup_matrix_${ROLE[role]}<${element}, ${columns}, ${rows}>`;

/** Four elements are one where memory is moved in quads. */
const elementType = (type: string, quads: true | undefined): string =>
  quads === true ? `vec4<${type}>` : type;

const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
const buffer = (position: number): string => `buffer_${position}`;
/** Four parameters. */
const params = (vector: number): string => `params_${vector}`;
const shared = (array: number): string => `shared_${array}`;

/** Names that a body uses and that look like a kernel's own. */
const TYPES: ReadonlySet<string> = new Set(["f32", "f16", "i32", "u32"]);
/** A kernel's names are letters with a number, mostly: keywords, builtins and names of ours are not. Others are made different. */
const identifier = (name: string): string =>
  /^[a-z]+\d+$/i.test(name) && !TYPES.has(name) ? name : `${name}_`;

/** What has the same value in every iteration of a loop, whatever the loop does, and costs nothing. */
const isFixed = ({ kind }: Expr): boolean => ["literal", "param", "lane", "workgroup"].includes(kind);

/** A number of a quad, in the quad's own type. */
const numberOf = (x: Expr & { readonly kind: "component" }): Code =>
  atom(`${identifier(x.quad)}.${"xyzw"[x.index]}`);

class Printer {
  readonly #kernel: Kernel;
  readonly #options: WgslOptions;

  constructor(kernel: Kernel, options: WgslOptions) {
    this.#kernel = kernel;
    this.#options = options;
  }

  block(statements: readonly Statement[]): string[] {
    return statements.flatMap((statement) => this.#statement(statement));
  }

  #statement(s: Statement): readonly string[] {
    switch (s.kind) {
      case "let":
      case "var":
        return [`${s.kind} ${identifier(s.name)} = ${this.#text(s.value)};`];
      case "assign":
        return [`${identifier(s.name)} = ${this.#text(s.value)};`];
      case "store":
        this.#refuseSingle(buffer(s.buffer), this.#buffer(s.buffer).quads);
        return [`${buffer(s.buffer)}[${this.#text(s.at)}] = ${this.#stored(s.buffer, s.value)};`];
      case "storeShared":
        this.#refuseSingle(shared(s.array), this.#kernel.shared[s.array]?.quads);
        return [`${shared(s.array)}[${this.#text(s.at)}] = ${this.#kept(s.array, s.value)};`];
      case "for": {
        const name = identifier(s.name);
        const before: string[] = [];
        const once = (x: Expr, what: string): string => {
          if (isFixed(x)) return this.#text(x);
          before.push(`let ${name}_${what} = ${this.#text(x)};`);
          return `${name}_${what}`;
        };
        const [to, step] = [once(s.to, "end"), once(s.step, "step")];
        return [
          ...before,
          `for (var ${name} = ${this.#text(s.from)}; ${name} < ${to}; ${name} += ${step}) {`,
          ...indent(this.block(s.body)),
          `}`,
        ];
      }
      case "if":
        return [
          `if (${this.#text(s.condition)}) {`,
          ...indent(this.block(s.body)),
          ...(s.otherwise.length > 0 ? [`} else {`, ...indent(this.block(s.otherwise))] : []),
          `}`,
        ];
      case "barrier":
        return [`workgroupBarrier();`];
      case "letQuad":
        return [`let ${identifier(s.name)} = ${this.#quad(s.value)};`];
      case "varQuad":
        return [`var ${identifier(s.name)} = ${this.#quad(s.value)};`];
      case "assignQuad":
        return [`${identifier(s.name)} = ${this.#quad(s.value)};`];
      case "storeQuad": {
        const { text, type } = this.#quadPlace(s.to);
        const name = identifier(s.quad);
        if (type !== "f16") return [`${text} = ${name};`];
        if (s.to.memory.kind === "shared") return [`${text} = vec4<f16>(${name});`]; // exact, as in #kept
        const rounded = [..."xyzw"].map((c) => callHelper("to_f16", atom(`${name}.${c}`)).text);
        return [`${text} = vec4<f16>(${rounded.join(", ")});`];
      }
      case "addScaled": {
        const [sums, quad] = [identifier(s.sums), identifier(s.quad)];
        return [`${sums} += vec4<f32>(${this.#text(s.x)}) * ${quad};`];
      }
      case "zeroFragment":
        return [`var ${identifier(s.fragment.name)} = ${fragmentType(s.fragment)}();`];
      case "loadFragment": {
        const { memory, at, stride } = this.#place(s.fragment, s.from);
        const of = `${fragmentType(s.fragment)}, ${ORDER[s.from.order]}`;
        return [
          `let ${identifier(s.fragment.name)} = subgroupMatrixLoad<${of}>(${memory}, ${at}, ${stride});`,
        ];
      }
      case "multiplyAccumulate": {
        const [sums, left, right] = [s.accumulator, s.left, s.right].map(({ name }) => identifier(name));
        return [`${sums} = subgroupMatrixMultiplyAccumulate(${left}, ${right}, ${sums});`];
      }
      case "storeFragment": {
        const { memory, at, stride } = this.#place(s.fragment, s.to);
        const name = identifier(s.fragment.name);
        return [`subgroupMatrixStore<${ORDER[s.to.order]}>(${memory}, ${at}, ${name}, ${stride});`];
      }
      case "threefry": {
        const [first, second] = s.names.map(identifier);
        const words = callHelper("threefry", ...[...s.key, ...s.counter].map((x) => this.#expression(x)));
        return [
          `let ${first}_${second} = ${words.text};`,
          `let ${first} = ${first}_${second}.x;`,
          `let ${second} = ${first}_${second}.y;`,
        ];
      }
    }
  }

  /** @throws Error where the memory does not keep elements as the fragment has them: nothing converts them */
  #place(
    { name, element }: Fragment,
    { memory: { kind, position }, at, stride }: FragmentPlace,
  ): { readonly [part in "memory" | "at" | "stride"]: string } {
    const kept =
      kind === "buffer"
        ? storedType(this.#buffer(position).dtype, this.#options)
        : this.#kernel.shared[position]?.half === true
          ? "f16"
          : this.#kernel.shared[position]?.type;
    if (kept !== element)
      throw new Error(
        `kernel ${this.#kernel.name}: fragment ${name} is of ${element}, its memory of ${kept}`,
      );
    const memory = `&${kind === "buffer" ? buffer(position) : shared(position)}`;
    return { memory, at: this.#text(at), stride: this.#text(stride) };
  }

  /** A store to one number of a vector may write all four (WGSL, and Metal and Direct3D do so): lanes would undo each other's. */
  #refuseSingle(memory: string, quads: true | undefined): void {
    if (quads === true)
      throw new Error(`kernel ${this.#kernel.name}: stores a single element to ${memory}, which has quads`);
  }

  #bufferElement(position: number, at: Expr): Code {
    const quads = this.#buffer(position).quads;
    return quads === true
      ? this.#ofQuads(buffer(position), at)
      : element(buffer(position), this.#expression(at));
  }

  #sharedElement(array: number, at: Expr): Code {
    const quads = this.#kernel.shared[array]?.quads;
    return quads === true ? this.#ofQuads(shared(array), at) : element(shared(array), this.#expression(at));
  }

  /** An element of memory that is an array of quads. */
  #ofQuads(memory: string, at: Expr): Code {
    const code = this.#expression(at);
    return element(element(memory, infix(code, ">>", atom("2u"))).text, infix(code, "&", atom("3u")));
  }

  #quadPlace({ memory: { kind, position }, at }: QuadPlace): {
    readonly text: string;
    readonly type: string;
  } {
    const [name, quads, type] =
      kind === "buffer"
        ? [
            buffer(position),
            this.#buffer(position).quads,
            storedType(this.#buffer(position).dtype, this.#options),
          ]
        : [
            shared(position),
            this.#kernel.shared[position]?.quads,
            this.#kernel.shared[position]?.half === true ? "f16" : "f32",
          ];
    if (quads !== true) throw new Error(`kernel ${this.#kernel.name}: ${name} has no quads`);
    return { text: element(name, infix(this.#expression(at), ">>", atom("2u"))).text, type };
  }

  #quad(quad: Quad): string {
    switch (quad.kind) {
      case "zeros":
        return `vec4<${quad.half === true ? "f16" : "f32"}>()`;
      case "loaded": {
        const { text, type } = this.#quadPlace(quad.from);
        if (quad.half === true && type !== "f16")
          throw new Error(`kernel ${this.#kernel.name}: a quad of f16 is loaded from memory of ${type}`);
        return type === "f16" && quad.half !== true ? `vec4<f32>(${text})` : text;
      }
      case "parts":
        return `vec4<f32>(${quad.parts.map((part) => this.#text(part)).join(", ")})`;
      case "scaled":
        return `vec4<f32>(${this.#text(quad.x)}) * ${identifier(quad.quad)}`;
    }
  }

  #text(x: Expr): string {
    return this.#expression(x).text;
  }

  #expression(x: Expr): Code {
    switch (x.kind) {
      case "literal":
        return literalCode(x.type, x.value);
      case "name":
        return atom(identifier(x.name));
      case "workgroup":
      case "lane":
        return atom(x.kind);
      case "param":
        return atom(`${params(x.index >> 2)}.${"xyzw"[x.index & 3]}`);
      case "load":
        return this.#loaded(x.buffer, x.at);
      case "component":
        return x.half === true ? call("f32", numberOf(x)) : numberOf(x);
      case "shared": {
        const found = this.#sharedElement(x.array, x.at);
        return this.#kernel.shared[x.array]?.half === true ? call("f32", found) : found;
      }
      case "subgroup":
        return atom(`subgroup_${x.what}`);
      case "subgroupSum":
        return call("subgroupAdd", this.#expression(x.x));
      case "shuffle":
        return call("subgroupShuffle", this.#expression(x.x), this.#expression(x.lane));
      case "unary": {
        const [operand] = this.#operands(x.x);
        return unaryCode(x.op, x.type, operand);
      }
      case "binary": {
        const [first, second] = this.#operands(x.x, x.y);
        return binaryCode(x.op, x.x.type, first, second);
      }
      case "select": {
        const [condition, yes, no] = this.#operands(x.condition, x.x, x.y);
        return selectCode(condition, yes, no);
      }
      case "cast": {
        const [operand] = this.#operands(x.x);
        return castCode(x.x.type, x.type, operand);
      }
      case "isNan": {
        const [operand] = this.#operands(x.x);
        return isNanCode(x.x.type, operand);
      }
    }
  }

  /** An op on literals alone would be a constant expression, which must not overflow, divide by 0, and so on: the first is disguised. */
  #operands<T extends readonly Expr[]>(...operands: T): { [K in keyof T]: Code } {
    const codes = operands.map((x) => this.#expression(x));
    const [first] = operands;
    if (first?.kind === "literal" && operands.every(({ kind }) => kind === "literal"))
      codes[0] = runtimeCode(first.type, first.value);
    return codes as { [K in keyof T]: Code }; // one for each operand
  }

  #loaded(position: number, at: Expr): Code {
    const { dtype } = this.#buffer(position);
    const found = this.#bufferElement(position, at);
    if (dtype === "bool") return infix(found, "!=", atom("0u"));
    return dtype === "f16" && this.#options.f16 ? call("f32", found) : found;
  }

  #stored(position: number, value: Expr): string {
    const { dtype } = this.#buffer(position);
    const type = storedType(dtype, this.#options);
    const code = this.#expression(value);
    if (type === "f16") return callHelper("to_f16", code).text;
    return (dtype === "bool" ? call(type, code) : code).text;
  }

  /** A value for workgroup memory. What f16 holds is converted exactly, however a device rounds. */
  #kept(array: number, value: Expr): string {
    const half = this.#kernel.shared[array]?.half === true;
    if (half && value.kind === "component" && value.half === true) return numberOf(value).text;
    const code = this.#expression(value);
    return (half ? call("f16", code) : code).text;
  }

  #buffer(position: number): KernelBuffer {
    const found = this.#kernel.buffers[position];
    if (found === undefined) throw new Error(`kernel ${this.#kernel.name} has no buffer ${position}`);
    return found;
  }
}
