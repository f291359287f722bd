/**
 * The ONNX target: a program as the bytes of an `.onnx` file, for our CPU device and for export to any ONNX
 * engine. Only ops of the standard operator set are used. Pure and browser-safe.
 *
 * Consumed by `src/runtime/onnx` and by the command line's export.
 */
import { formatType, inputTypes, outputTypes } from "../../dsl/program/program.ts";
import type { Program, TensorType } from "../../dsl/program/program.ts";
import { Emitter } from "./emitter.ts";
import { graphOutputs } from "./lower/control.ts";
import { lowerProgram } from "./lower/index.ts";
import { ElementType, encodeModel } from "./proto.ts";
import type { AttributeValue, GraphProto, NodeProto, TensorProto, ValueInfoProto } from "./proto.ts";
import { elementOf } from "./value.ts";

export interface OnnxOptions {
  /** Names of the program's inputs, as readers of the file see them; default "input0", "input1", … */
  readonly inputNames?: readonly string[];
  /** Names of the outputs; default "output0", … One that an input bears already gets a suffix. */
  readonly outputNames?: readonly string[];
  /** Name of the graph. */
  readonly name?: string;
  /** What the model is, in prose. */
  readonly doc?: string;
  /** Key-value pairs that readers of the file find under its metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly producerVersion?: string;
  /**
   * Adds an empty sequence of this name as the first output: for engines' bindings, see
   * src/runtime/onnx/session.ts.
   */
  readonly sequenceOutput?: string;
}

export interface OnnxModel {
  readonly bytes: Uint8Array;
  /** In the order of the program's inputs; all different from each other and from the outputs. */
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
}

function uniqueNames(wanted: readonly string[], suffix: string, taken: Set<string>): readonly string[] {
  return wanted.map((stem) => {
    let name = stem;
    for (let i = 0; taken.has(name); i++) name = `${stem}.${suffix}${i === 0 ? "" : i}`;
    taken.add(name);
    return name;
  });
}

function names(given: readonly string[] | undefined, count: number, stem: string): readonly string[] {
  if (given !== undefined && given.length !== count) {
    throw new Error(
      `onnx: ${given.length} ${stem} names for a program of ${count} ${stem}s; give one per ${stem}.`,
    );
  }
  return given ?? Array.from({ length: count }, (_, i) => `${stem}${i}`);
}

/** Renames values in a graph and in the graphs nested in it. */
function rename(nodes: readonly NodeProto[], names: ReadonlyMap<string, string>): readonly NodeProto[] {
  const to = (name: string): string => names.get(name) ?? name;
  const attribute = (value: AttributeValue): AttributeValue =>
    value.kind === "graph"
      ? { kind: "graph", value: { ...value.value, nodes: rename(value.value.nodes, names) } }
      : value;
  return nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(to),
    outputs: node.outputs.map(to),
    attributes: Object.fromEntries(
      Object.entries(node.attributes).map(([key, value]) => [key, attribute(value)]),
    ),
  }));
}

/** Names that some node reads, nested graphs and their outputs included. */
function readNames(nodes: readonly NodeProto[], into: Set<string>): Set<string> {
  for (const node of nodes) {
    for (const input of node.inputs) into.add(input);
    for (const value of Object.values(node.attributes))
      if (value.kind === "graph") readNames(value.value.nodes, into);
  }
  return into;
}

const infos = (names: readonly string[], types: readonly TensorType[]): readonly ValueInfoProto[] =>
  types.map((type, i) => ({
    name: names[i] as string,
    type: elementOf(type.dtype),
    shape: type.shape,
    doc: formatType(type),
  }));

/**
 * Writes a program as an ONNX model of IR version 10 and operator set 21. Inputs and outputs have the
 * program's types.
 * @throws Error when the number of names is not that of the inputs or outputs.
 */
export function toOnnx(program: Program, options: OnnxOptions = {}): OnnxModel {
  const { sequenceOutput } = options;
  const taken = new Set(sequenceOutput === undefined ? [] : [sequenceOutput]);
  const inputNames = uniqueNames(names(options.inputNames, program.inputs.length, "input"), "in", taken);
  const outputNames = uniqueNames(names(options.outputNames, program.outputs.length, "output"), "out", taken);
  const emit = Emitter.forModel(taken);
  const inputs = inputTypes(program).map(({ shape, dtype }, i) => ({
    name: inputNames[i] as string,
    element: elementOf(dtype),
    shape,
    held: shape,
  }));
  const outputs = graphOutputs(emit, lowerProgram(emit, program, inputs));
  const lowered = rename(
    emit.nodes,
    new Map(outputs.map((output, i) => [output.name, outputNames[i] as string])),
  );
  const read = readNames(lowered, new Set());
  const sequences = sequenceOutput === undefined ? [] : [sequenceOutput];
  const empty = sequences.map((name): NodeProto => ({
    op: "SequenceEmpty",
    name,
    inputs: [],
    outputs: [name],
    attributes: {},
  }));
  const graph: GraphProto = {
    name: options.name ?? "program",
    nodes: [...empty, ...lowered],
    initializers: emit.initializers.filter((tensor: TensorProto) => read.has(tensor.name)),
    inputs: infos(inputNames, inputTypes(program)),
    outputs: [
      ...sequences.map((name) => ({ name, type: ElementType.float32, shape: [], sequence: true })),
      ...infos(outputNames, outputTypes(program)),
    ],
    ...(options.doc === undefined ? {} : { doc: options.doc }),
  };
  const bytes = encodeModel({
    graph,
    producer: "fluxion",
    producerVersion: options.producerVersion ?? "",
    metadata: options.metadata ?? {},
    ...(options.doc === undefined ? {} : { doc: options.doc }),
  });
  return { bytes, inputNames, outputNames };
}
