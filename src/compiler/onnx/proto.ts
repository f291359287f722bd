/**
 * The part of ONNX's protobuf format that we write: plain data for a model, and its encoding. The field
 * numbers are those of `onnx.proto` (IR version 10, operator set 21), each next to the field that it numbers.
 *
 * Consumed by `to-onnx.ts` (encoding) and the lowering rules (nodes and attributes). To write another field,
 * add it to the interface and a line with its number to the matching `write` function.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** `TensorProto.DataType`. */
export const ElementType = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
} as const;
export type ElementType = (typeof ElementType)[keyof typeof ElementType];

/** An attribute value, with the field of `AttributeProto` that it goes to. */
export type AttributeValue =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "graph"; readonly value: GraphProto };

export type Attributes = Readonly<Record<string, AttributeValue>>;

export interface NodeProto {
  readonly op: string;
  readonly name: string;
  /** Value names; "" leaves an optional input out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** A known tensor; `data` is little-endian and row-major. */
export interface TensorProto {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Name and type of a graph's input or output: a tensor, or a sequence of tensors of any shape. */
export interface ValueInfoProto {
  readonly name: string;
  readonly sequence?: boolean;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly doc?: string;
}

export interface GraphProto {
  readonly name: string;
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
  readonly doc?: string;
}

export interface ModelProto {
  readonly graph: GraphProto;
  readonly producer: string;
  readonly producerVersion: string;
  readonly doc?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const IR_VERSION = 10;
/**
 * Operator set: the first with every op as we use it is 18 (bitwise ops, ScatterElements with sums); 21 is
 * widely read.
 */
const OPSET = 21;

const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, graph: 5, ints: 7 } as const;

type Write<T> = (writer: BinaryWriter, value: T) => void;

function message<T>(writer: BinaryWriter, field: number, value: T, write: Write<T>): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer, value);
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function integer(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).int64(value);
}

function integers(writer: BinaryWriter, field: number, values: readonly number[]): void {
  if (values.length === 0) return;
  writer.tag(field, WireType.LengthDelimited).fork();
  for (const value of values) writer.int64(value);
  writer.join();
}

const writeTensor: Write<TensorProto> = (writer, { name, type, shape, data }) => {
  integers(writer, 1, shape); // dims
  integer(writer, 2, type); // data_type
  text(writer, 8, name); // name
  writer.tag(9, WireType.LengthDelimited).bytes(data); // raw_data
};

const writeShape: Write<readonly number[]> = (writer, shape) => {
  // Dim { dim_value }.
  for (const extent of shape) message(writer, 1, extent, (w, value) => integer(w, 1, value));
};

const writeTensorType: Write<Pick<ValueInfoProto, "type" | "shape">> = (writer, { type, shape }) => {
  integer(writer, 1, type); // elem_type
  message(writer, 2, shape, writeShape); // shape: present even when it has no axes
};

/** The type of a sequence: its elements' type, which names no shape. */
const writeSequenceType: Write<ElementType> = (writer, type) =>
  message(writer, 1, type, (elements) => // elem_type { tensor_type { elem_type } }
    message(elements, 1, type, (tensor) => integer(tensor, 1, type)),
  ); // prettier-ignore

const writeValueInfo: Write<ValueInfoProto> = (writer, info) => {
  text(writer, 1, info.name); // name
  message(writer, 2, info, (w) => {
    if (info.sequence === true) message(w, 4, info.type, writeSequenceType); // type { sequence_type }
    else message(w, 1, info, writeTensorType); // type { tensor_type }
  });
  if (info.doc !== undefined) text(writer, 3, info.doc); // doc_string
};

const writeAttribute: Write<readonly [string, AttributeValue]> = (writer, [name, attribute]) => {
  text(writer, 1, name); // name
  switch (attribute.kind) {
    case "float":
      writer.tag(2, WireType.Bit32).float(attribute.value); // f
      break;
    case "int":
      integer(writer, 3, attribute.value); // i
      break;
    case "string":
      text(writer, 4, attribute.value); // s
      break;
    case "graph":
      message(writer, 6, attribute.value, writeGraph); // g
      break;
    case "ints":
      integers(writer, 8, attribute.value); // ints
      break;
  }
  integer(writer, 20, ATTRIBUTE_TYPE[attribute.kind]); // type
};

const writeNode: Write<NodeProto> = (writer, { op, name, inputs, outputs, attributes }) => {
  for (const input of inputs) text(writer, 1, input); // input
  for (const output of outputs) text(writer, 2, output); // output
  text(writer, 3, name); // name
  text(writer, 4, op); // op_type
  for (const entry of Object.entries(attributes)) message(writer, 5, entry, writeAttribute); // attribute
};

const writeGraph: Write<GraphProto> = (writer, graph) => {
  for (const node of graph.nodes) message(writer, 1, node, writeNode); // node
  text(writer, 2, graph.name); // name
  for (const tensor of graph.initializers) message(writer, 5, tensor, writeTensor); // initializer
  if (graph.doc !== undefined) text(writer, 10, graph.doc); // doc_string
  for (const input of graph.inputs) message(writer, 11, input, writeValueInfo); // input
  for (const output of graph.outputs) message(writer, 12, output, writeValueInfo); // output
};

/** The bytes of an `.onnx` file. */
export function encodeModel(model: ModelProto): Uint8Array {
  const writer = new BinaryWriter();
  integer(writer, 1, IR_VERSION); // ir_version
  text(writer, 2, model.producer); // producer_name
  text(writer, 3, model.producerVersion); // producer_version
  if (model.doc !== undefined) text(writer, 6, model.doc); // doc_string
  message(writer, 7, model.graph, writeGraph); // graph
  // Opset_import { version }, of the default domain.
  message(writer, 8, OPSET, (w, version) => integer(w, 2, version));
  for (const entry of Object.entries(model.metadata)) {
    message(writer, 14, entry, (w, [key, value]) => { // metadata_props
      text(w, 1, key);
      text(w, 2, value);
    }); // prettier-ignore
  }
  return writer.finish();
}
