/**
 * Kernels as pipelines, one for each text: programs that have a kernel in common share it.
 *
 * Consumed by executables when they are made. A kernel has one group: its storage buffers in their order,
 * and after them its parameters, if it has any, as a uniform buffer.
 */
import type { Kernel } from "../../compiler/kernel/ir.ts";
import type { Dispatch } from "../../compiler/kernel/plan.ts";
import { ShaderStage } from "./constants.ts";
import type { Failures } from "./failures.ts";
import type { Gpu } from "./gpu.ts";

/** A kernel, ready to be dispatched. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  /** The layout of its group. */
  readonly bindings: GPUBindGroupLayout;
}

/** Texts that are remembered; the one that was not asked for the longest is forgotten first. */
const REMEMBERED = 4096;

/** Bytes of a kernel's parameters as a uniform buffer: vectors of four words. */
export const paramBytes = ({ params }: Pick<Kernel, "params">): number => 16 * Math.ceil(params / 4);

/** "the kernel add0 (add, mul; at model.ts:12)" */
export function describeDispatch({ kernel, ops, site }: Dispatch): string {
  const details = [ops.join(", "), ...(site === undefined ? [] : [`at ${site}`])].filter(
    (part) => part !== "",
  );
  return `the kernel ${kernel.name}${details.length === 0 ? "" : ` (${details.join("; ")})`}`;
}

export class Pipelines {
  readonly #gpu: Gpu;
  readonly #failures: Failures;
  readonly #print: (kernel: Kernel) => string;
  readonly #made = new Map<string, Promise<Pipeline>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  constructor(gpu: Gpu, failures: Failures, print: (kernel: Kernel) => string) {
    this.#gpu = gpu;
    this.#failures = failures;
    this.#print = print;
  }

  /**
   * The pipelines of the kernels that are dispatched.
   * @param program its name, for messages
   * @throws Error naming the kernel that the GPU refuses, its ops and the user's line
   */
  async of(dispatches: readonly Dispatch[], program: string): Promise<ReadonlyMap<Kernel, Pipeline>> {
    const firsts = new Map<Kernel, Dispatch>();
    for (const dispatch of dispatches)
      if (!firsts.has(dispatch.kernel)) firsts.set(dispatch.kernel, dispatch);
    return new Map(
      await Promise.all(
        [...firsts].map(
          async ([kernel, dispatch]) => [kernel, await this.#of(kernel, dispatch, program)] as const,
        ),
      ),
    );
  }

  #layout(kernel: Kernel): GPUBindGroupLayout {
    const { buffers } = kernel;
    const bytes = paramBytes(kernel);
    const key = `${buffers.map(({ access }) => (access === "read" ? "r" : "w")).join("")}${bytes}`;
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      const kinds: GPUBufferBindingLayout[] = buffers.map(({ access }) => ({
        type: access === "read" ? "read-only-storage" : "storage",
      }));
      if (bytes > 0) kinds.push({ type: "uniform", minBindingSize: bytes });
      layout = this.#gpu.device.createBindGroupLayout({
        entries: kinds.map((buffer, binding) => ({ binding, visibility: ShaderStage.COMPUTE, buffer })),
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }

  #of(kernel: Kernel, dispatch: Dispatch, program: string): Promise<Pipeline> {
    const code = this.#print(kernel);
    // The text has the layout in its declarations.
    const known = this.#made.get(code);
    this.#made.delete(code);
    const made =
      known ?? this.#create(kernel, code, () => `${program}: compiling ${describeDispatch(dispatch)}`);
    this.#made.set(code, made);
    if (known === undefined) {
      made.catch(() => this.#made.delete(code));
      const [oldest] = this.#made.keys();
      if (this.#made.size > REMEMBERED && oldest !== undefined) this.#made.delete(oldest);
    }
    return made;
  }

  async #create(kernel: Kernel, code: string, what: () => string): Promise<Pipeline> {
    const { device, asyncPipelines } = this.#gpu;
    const scope = this.#failures.open(what);
    const bindings = this.#layout(kernel);
    const layout = device.createPipelineLayout({ bindGroupLayouts: [bindings] });
    const module = device.createShaderModule({ code, label: kernel.name });
    const descriptor = { label: kernel.name, layout, compute: { module, entryPoint: "main" } };
    const pipeline = asyncPipelines
      ? device.createComputePipelineAsync(descriptor)
      : Promise.resolve(device.createComputePipeline(descriptor));
    const refused = scope.close("expected");
    // A refused module is the reason why its pipeline is refused, so it is looked at first.
    const made = await this.#failures.until(
      pipeline.then(
        (pipeline) => ({ pipeline, error: undefined }),
        (error: unknown) => ({ pipeline: undefined, error }),
      ),
    );
    const error = await this.#failures.until(refused);
    if (error !== undefined) throw error;
    if (made.pipeline === undefined) {
      const refusal = made.error as GPUPipelineError;
      // Where the code is not to blame, the device may be: a GPU's process that ends refuses what it had to compile.
      const reason = refusal.reason === "internal" ? await this.#failures.reasonOf(refusal) : refusal;
      if (reason !== refusal) throw reason;
      throw new Error(`webgpu: ${what()} failed: ${refusal.message}`, { cause: refusal });
    }
    return { pipeline: made.pipeline, bindings };
  }
}
