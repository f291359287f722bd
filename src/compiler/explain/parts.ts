/**
 * Which part of a buffer one run of a dispatch touches. In a loop, a kernel often touches the iteration's own part of a stacked buffer:
 * then every index into the buffer is made of the loop's iteration, and the dispatch moves a part of `length`.
 *
 * Consumed by `explain`. A new kind of expression or statement needs a case below.
 */
import type { Expr, FragmentPlace, Kernel, Quad, QuadPlace, Statement } from "../kernel/ir.ts";
import type { Dispatch } from "../kernel/plan.ts";

type Loops = ReadonlySet<number>;
const NONE: Loops = new Set();

/**
 * Into how many parts loops divide each of the dispatch's buffers: 1 where a run may touch all of it.
 * @param lengths of the loops around the dispatch, the outermost first
 */
export function partsOf({ kernel, params }: Dispatch, lengths: readonly number[]): readonly number[] {
  const loops = params.map((param): Loops => (typeof param === "number" ? NONE : new Set([param.loop])));
  if (loops.every((found) => found === NONE)) return kernel.buffers.map(() => 1);
  return indexLoops(kernel, loops).map((found) =>
    [...(found ?? [])].reduce((parts, loop) => Math.max(parts, lengths[loop] ?? 1), 1),
  );
}

/** The loops whose iteration is in every index into a buffer, for each buffer. */
function indexLoops(kernel: Kernel, params: readonly Loops[]): readonly (Loops | undefined)[] {
  const found: (Loops | undefined)[] = kernel.buffers.map(() => undefined);
  const names = new Map<string, Loops>();

  const touch = (buffer: number, at: Expr): void => {
    const loops = loopsIn(at);
    const before = found[buffer];
    found[buffer] = before === undefined ? loops : new Set([...before].filter((loop) => loops.has(loop)));
  };
  const union = (...parts: readonly Expr[]): Loops => new Set(parts.flatMap((part) => [...loopsIn(part)]));

  /** The loops whose iteration the value is made of. Loads on the way are noted. */
  const loopsIn = (x: Expr): Loops => {
    switch (x.kind) {
      case "literal":
      case "workgroup":
      case "lane":
      case "subgroup":
      case "component": // loaded, mostly
        return NONE;
      case "name":
        return names.get(x.name) ?? NONE;
      case "param":
        return params[x.index] ?? NONE;
      case "load":
        touch(x.buffer, x.at);
        return NONE; // a loaded value says nothing about where it points
      case "shared":
        void loopsIn(x.at);
        return NONE;
      case "unary":
      case "cast":
      case "isNan":
      case "subgroupSum":
        return loopsIn(x.x);
      case "shuffle": // of another lane, in the same iteration
        void loopsIn(x.lane);
        return loopsIn(x.x);
      case "binary":
        return union(x.x, x.y);
      case "select":
        return union(x.condition, x.x, x.y);
    }
  };

  const place = ({ memory, at, stride }: FragmentPlace): void => {
    if (memory.kind === "buffer") touch(memory.position, at);
    void union(at, stride);
  };

  const quadPlace = ({ memory, at }: QuadPlace): void => {
    if (memory.kind === "buffer") touch(memory.position, at);
    else void loopsIn(at);
  };
  const quad = (value: Quad): void => {
    switch (value.kind) {
      case "zeros":
        return;
      case "loaded":
        return quadPlace(value.from);
      case "parts":
        return void union(...value.parts);
      case "scaled":
        return void loopsIn(value.x);
    }
  };

  const visit = (s: Statement): void => {
    switch (s.kind) {
      case "let":
      case "var":
        return void names.set(s.name, loopsIn(s.value));
      case "assign": // another value: only what both have is in it for certain
        return void names.set(
          s.name,
          new Set([...loopsIn(s.value)].filter((loop) => names.get(s.name)?.has(loop))),
        );
      case "store":
        touch(s.buffer, s.at);
        return void loopsIn(s.value);
      case "storeShared":
        return void union(s.at, s.value);
      case "for":
        names.set(s.name, loopsIn(s.from));
        void union(s.to, s.step);
        return s.body.forEach(visit);
      case "if":
        void loopsIn(s.condition);
        s.body.forEach(visit);
        return s.otherwise.forEach(visit);
      case "threefry":
        return void union(...s.key, ...s.counter);
      case "letQuad":
      case "varQuad":
      case "assignQuad":
        return quad(s.value);
      case "storeQuad":
        return quadPlace(s.to);
      case "addScaled":
        return void loopsIn(s.x);
      case "loadFragment":
        return place(s.from);
      case "storeFragment":
        return place(s.to);
      case "zeroFragment":
      case "multiplyAccumulate":
      case "barrier":
    }
  };
  kernel.body.forEach(visit);
  return found;
}
