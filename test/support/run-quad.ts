/**
 * How quads are run on the host: arrays of four numbers, each moved and checked as an element of its own. Consumed by run-kernel.ts.
 */
import type { Expr, Kernel, Quad, QuadPlace, QuadStatement, Scalar } from "../../src/compiler/kernel/ir.ts";

/** Text of an expression, which must be of that type. */
type Typed = (x: Expr, type: Scalar, what: string) => string;

/** What the compiled code calls. */
export const QUAD_HELPERS = {
  /** The place of a quad. */
  aligned: (at: number, what: string): number => {
    if (at % 4 !== 0) throw new Error(`${what} at element ${at}, no multiple of four`);
    return at;
  },
};

const FOUR = [0, 1, 2, 3] as const;

/**
 * JavaScript for a statement. Names are declared as its own are, so that one out of scope is an error.
 * @param halves names of quads of f16, which this adds to
 */
export function quadCode(kernel: Kernel, s: QuadStatement, typed: Typed, halves: Set<string>): string {
  const isHalf = ({ value }: { readonly value: Quad }): boolean => "half" in value && value.half;
  /** Nothing but `component` takes quads of f16. */
  const whole = (name: string): void =>
    require(kernel, !halves.has(name), () => `uses ${name}, a quad of f16, as one of f32`);
  if ("value" in s && s.value.kind === "scaled") whole(s.value.quad);
  switch (s.kind) {
    case "letQuad":
      if (isHalf(s)) halves.add(s.name);
      return `const $${s.name} = ${valueCode(kernel, s.value, typed)};\n`;
    case "varQuad":
      if (isHalf(s)) halves.add(s.name);
      return `let $${s.name} = ${valueCode(kernel, s.value, typed)};\n`;
    case "assignQuad":
      require(kernel, halves.has(s.name) === isHalf(s), () => `assigns a quad of another type to ${s.name}`);
      return `$${s.name} = ${valueCode(kernel, s.value, typed)};\n`;
    case "storeQuad": {
      whole(s.quad);
      const { memory } = s.to;
      const at = placeCode(kernel, s.to, typed);
      const method = memory.kind === "buffer" ? "store" : "storeShared";
      require(kernel, memory.kind === "shared" || kernel.buffers[memory.position]?.access !== "read", () =>
        `stores to buffer ${memory.position}, which is not one to store to`);
      return `{ const at = ${at}; ${FOUR.map((i) => `memory.${method}(${memory.position}, at + ${i}, $${s.quad}[${i}]);`).join(" ")} }\n`;
    }
    case "addScaled": {
      whole(s.sums);
      whole(s.quad);
      const x = typed(s.x, "f32", "what scales a quad");
      const sums = FOUR.map((i) => `fround($${s.sums}[${i}] + fround(x * $${s.quad}[${i}]))`);
      return `{ const x = ${x}; $${s.sums} = [${sums.join(", ")}]; }\n`;
    }
  }
}

function valueCode(kernel: Kernel, quad: Quad, typed: Typed): string {
  switch (quad.kind) {
    case "zeros":
      return "[0, 0, 0, 0]";
    case "parts":
      return `[${quad.parts.map((part) => typed(part, "f32", "a part of a quad")).join(", ")}]`;
    case "scaled":
      return `((x) => $${quad.quad}.map((y) => fround(x * y)))(${typed(quad.x, "f32", "what scales a quad")})`;
    case "loaded": {
      const { memory } = quad.from;
      const method = memory.kind === "buffer" ? "load" : "loadShared";
      require(kernel, quad.half !== true ||
        (memory.kind === "buffer" && kernel.buffers[memory.position]?.dtype === "f16"), () =>
        "loads a quad of f16 from memory that is not of it");
      require(kernel, memory.kind === "shared" || kernel.buffers[memory.position]?.access !== "write", () =>
        `loads from buffer ${memory.position}, which is not one to load from`);
      return `((at) => [${FOUR.map((i) => `memory.${method}(${memory.position}, at + ${i})`).join(", ")}])(${placeCode(kernel, quad.from, typed)})`;
    }
  }
}

function require(kernel: Kernel, condition: boolean, text: () => string): void {
  if (!condition) throw new Error(`kernel ${kernel.name}: ${text()}`);
}

/** The first element's place, which must be a multiple of four, of memory that has quads. */
function placeCode(kernel: Kernel, { memory: { kind, position }, at }: QuadPlace, typed: Typed): string {
  const [what, quads, right] =
    kind === "buffer"
      ? [
          `buffer ${position}`,
          kernel.buffers[position]?.quads,
          ["f32", "f16"].includes(kernel.buffers[position]?.dtype ?? ""),
        ]
      : [
          `workgroup array ${position}`,
          kernel.shared[position]?.quads,
          kernel.shared[position]?.type === "f32" && (kernel.shared[position]?.length ?? 0) % 4 === 0,
        ];
  require(kernel, quads === true && right, () => `moves quads of ${what}, which has none`);
  return `aligned(${typed(at, "u32", "an index")}, "kernel ${kernel.name}: moves a quad of ${what}")`;
}
