/**
 * Text that exported modules begin with: how tensors come in and go out, and what no kernel computes as the language defines it. It is
 * JavaScript for any browser and depends on nothing but the TensorFlow.js that it is given.
 *
 * Consumed by `emit.ts`. To add an op of the host: an entry in `ELEMENTWISE`, with `x`, `y` and the dtype `d` of the first operand.
 */
import type { OpKind } from "../../../dsl/program/program.ts";

const WORD = 'd === "i32" || d === "u32"';

/** Values on numbers; integers are wrapped as they are stored. */
export const ELEMENTWISE: { readonly [K in OpKind]?: string } = {
  mul: `${WORD} ? Math.imul(x, y) : x * y`,
  div: `${WORD} ? (y === 0 ? x : Math.trunc(x / y)) : x / y`,
  rem: `(${WORD}) && y === 0 ? 0 : x % y`,
  pow: "Math.pow(x, y)",
  and: "x & y",
  or: "x | y",
  xor: "x ^ y",
  shiftLeft: "y >>> 0 >= 32 ? 0 : x << y",
  shiftRight: 'd === "u32" ? (y >>> 0 >= 32 ? 0 : x >>> y) : x >> (y >>> 0 >= 32 ? 31 : y)',
  erf: "erf(x)",
};

/** The part that every module has. `tf` is in scope, `weights` are its bytes. */
export const RUNTIME = `const ARRAYS = { f32: Float32Array, f16: Float32Array, i32: Int32Array, u32: Int32Array, bool: Uint8Array };
const STORAGE = { f32: "float32", f16: "float32", i32: "int32", u32: "int32", bool: "bool" };
const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

/** Tensors of one run, and kernels that make them. */
function workspace(tf) {
  const engine = tf.engine();
  const alive = new Set();
  const keep = (tensor) => (alive.add(tf.keep(tensor)), tensor);
  const make = (values, shape, dtype) => keep(engine.makeTensor(values, shape, STORAGE[dtype]));
  const kernel = (name, inputs, attributes) => keep(engine.runKernel(name, inputs, attributes));
  /** The same on the CPU, where integers are exact. */
  const onCpu = (name, inputs, attributes) => {
    const backend = engine.findBackend("cpu");
    const info = tf.getKernel(name, "cpu").kernelFunc({ inputs, attrs: attributes, backend });
    return keep(engine.makeTensorFromTensorInfo(info, backend));
  };
  const copy = async (tensor) =>
    keep(engine.makeTensor((await tensor.data()).slice(), tensor.shape, tensor.dtype, engine.findBackend("cpu")));
  const end = (...tensors) => {
    for (const tensor of tensors) {
      alive.delete(tensor);
      tensor.dispose();
    }
  };
  const at = (dtype) => (STORAGE[dtype] === "int32" ? onCpu : kernel);
  const reshape = (tensor, shape, dtype) => at(dtype)("Reshape", { x: tensor }, { shape });
  /** Element \`i\` of the first axis. */
  const slice = (tensor, i, shape, dtype) => {
    const row = shape.slice(1);
    const size = sizeOf(row);
    if (size === 0) return make(new ARRAYS[dtype](0), row, dtype);
    const flat = reshape(tensor, [shape[0], size], dtype);
    const part = at(dtype)("Slice", { x: flat }, { begin: [i, 0], size: [1, size] });
    const result = reshape(part, row, dtype);
    end(flat, part);
    return result;
  };
  /** Rows along a new first axis. */
  const stack = (rows, shape, dtype) => {
    const size = sizeOf(shape.slice(1));
    if (size === 0) {
      end(...rows);
      return make(new ARRAYS[dtype](0), shape, dtype);
    }
    const flat = rows.map((row) => reshape(row, [1, size], dtype));
    // TensorFlow's own library joins two or more.
    const joined = flat.length === 1 ? flat[0] : at(dtype)("Concat", flat, { axis: 0 });
    const result = reshape(joined, shape, dtype);
    end(...rows, ...new Set([...flat, joined]));
    return result;
  };
  return { alive, make, kernel, onCpu, copy, end, reshape, slice, stack };
}

/**
 * A copy of what the caller gives for an input: numbers, or a tensor, which stays his. Numbers go through \`round\`. It is begun before
 * anything is waited for, so what is given may change, and tensors be disposed of, as soon as a run was called.
 */
async function take(name, given, shape, dtype, round) {
  const refuse = (why) => {
    throw new Error(\`The input "\${name}" \${why}; it is \${dtype}[\${shape.join(", ")}].\`);
  };
  const value = Object.hasOwn(given, name) ? given[name] : undefined;
  if (value === undefined) throw new Error(\`The input "\${name}" is missing. It is given by this name: { \${JSON.stringify(name)}: … }.\`);
  let numbers = value;
  if (value?.dataId !== undefined) {
    if (value.isDisposed) refuse("is a tensor that was disposed of");
    if (value.shape.join() !== shape.join()) refuse(\`is a tensor of the shape [\${value.shape.join(", ")}]\`);
    // Of a tensor that is disposed of, WebGPU gives up what is being read: so of another one with the same data.
    const own = value.clone();
    own.kept = true;
    try {
      numbers = await own.data();
    } finally {
      own.dispose();
    }
  } else if (!ArrayBuffer.isView(value) || typeof (value[0] ?? 0) !== "number" || value.length === undefined) {
    numbers = [value].flat(Infinity);
    if (numbers.some((x) => typeof x !== "number" && typeof x !== "boolean")) refuse("is neither numbers nor a tensor");
  }
  if (numbers.length !== sizeOf(shape)) refuse(\`has \${numbers.length} values\`);
  return round === undefined ? new ARRAYS[dtype](numbers) : ARRAYS[dtype].from(numbers, round);
}

/** A function of each number and its place; as float64, which holds every word. */
const each = (values, f) => {
  const results = new Float64Array(values.length);
  for (let i = 0; i < results.length; i++) results[i] = f(values[i], i);
  return results;
};

/** Numbers as they are read: u32 lies in an int32, bit by bit. */
const read = async (tensor, dtype) => {
  const values = await tensor.data();
  return dtype === "u32" ? new Uint32Array(values.buffer, values.byteOffset, values.length) : values;
};
`;

/** What only some modules need, by name. */
export const OPTIONAL = {
  toF16: `/** The number with 11 significant bits that is nearest, of two the even one. */
function toF16(x) {
  if (!(Math.abs(x) < 65520)) return Math.sign(x) * Infinity;
  let unit = 2 ** -24;
  while (Math.abs(x) >= 2048 * unit) unit *= 2;
  const units = Math.round(x / unit);
  return (Math.abs(x / unit) % 1 === 0.5 && units % 2 !== 0 ? units - 1 : units) * unit;
}
`,
  erf: `function erf(x) {
  if (x === 0 || Number.isNaN(x)) return x;
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) sum += term *= (2 * x * x) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
`,
  toBool: `const toBool = (x) => (Number(x) === 0 ? 0 : 1);
`,
  toWord: `/** The whole number towards 0, within bounds; NaN is 0. */
const toWord = (x, low, high) => (x !== x ? 0 : Math.min(Math.max(Math.trunc(x), low), high));
`,
  broadcast: `/** Axis i of \`values\` becomes axis dims[i]. */
function broadcast(values, from, shape, dims) {
  const result = new values.constructor(sizeOf(shape));
  const strides = shape.map(() => 0);
  for (let i = from.length - 1, stride = 1; i >= 0; stride *= from[i--]) if (from[i] > 1) strides[dims[i]] = stride;
  const index = shape.map(() => 0);
  for (let i = 0, at = 0; i < result.length; i++) {
    result[i] = values[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}
`,
  sort: `/** Ascending along an axis, equals in their order, NaN last: the values, and where they came from. */
function sort(values, shape, axis) {
  const count = shape[axis];
  const inner = sizeOf(shape.slice(axis + 1));
  const results = [new values.constructor(values.length), new Int32Array(values.length)];
  for (let start = 0; start < values.length; start += count * inner)
    for (let row = start; row < start + inner; row++) {
      const value = (i) => values[row + i * inner];
      const last = (x) => (x !== x ? 1 : 0);
      const order = Array.from({ length: count }, (_, i) => i);
      order.sort((i, j) => last(value(i)) - last(value(j)) || value(i) - value(j) || i - j);
      order.forEach((from, i) => {
        results[0][row + i * inner] = value(from);
        results[1][row + i * inner] = from;
      });
    }
  return results;
}
`,
  threefry: `/** Threefry-2x32 with 20 rounds: two words of noise for each counter. */
function threefry(k0, k1, x0, x1) {
  const TURNS = [13, 15, 26, 6, 17, 29, 16, 24];
  const results = [new Uint32Array(x0.length), new Uint32Array(x0.length)];
  for (let i = 0; i < x0.length; i++) {
    const keys = [k0[i], k1[i], k0[i] ^ k1[i] ^ 0x1bd11bda];
    let [a, b] = [(x0[i] + keys[0]) | 0, (x1[i] + keys[1]) | 0];
    for (let round = 0; round < 20; round++) {
      a = (a + b) | 0;
      const turn = TURNS[round % 8];
      b = ((b << turn) | (b >>> (32 - turn))) ^ a;
      if (round % 4 !== 3) continue;
      const group = (round + 1) / 4;
      a = (a + keys[group % 3]) | 0;
      b = (b + keys[(group + 1) % 3] + group) | 0;
    }
    results[0][i] = a;
    results[1][i] = b;
  }
  return results;
}
`,
} as const;
