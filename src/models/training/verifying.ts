/**
 * The residuals of a trained flow map as a program, for networks of a run: of the map itself, or of its teacher held over every jump, which
 * is the map that training starts from.
 *
 * Consumed by runtime/verify/trained.ts. All logits are written down, of few rows at a time.
 */
import { f32, fn, i32, u32 } from "../../dsl/index.ts";
import type { SpecOf, Tensor } from "../../dsl/index.ts";
import type { Flow } from "../flow/flow.ts";
import { held } from "../flow/samplers/sampled-denoiser.ts";
import { spaceOf } from "../flow/state-space.ts";
import type { Time } from "../flow/two-time.ts";
import { residualsOf } from "../flow/verify/trained.ts";
import { flowDenoiser, mapDenoiser } from "../language/declared-network.ts";
import { dit } from "../networks/dit.ts";
import type { DitParams } from "../networks/dit.ts";
import { noiseOf } from "./declared.ts";
import { student } from "./programs.ts";
import type { ModelOptions } from "./programs.ts";

export interface ResidualOptions {
  /** Whose residuals. */
  readonly of: "student" | "teacher, held";
  /** Points of the course from s to t. */
  readonly points: number;
  /** Whether to differentiate through the network. */
  readonly derivatives: boolean;
}

/** (params, teacher, tokens, times, key) -> residuals by name, each [batch]; see TRAINED. `options.network` is that of the teacher. */
export function residualProgram(
  flow: Flow,
  options: ModelOptions,
  params: SpecOf<DitParams>,
  teacher: SpecOf<DitParams>,
  { of, points, derivatives }: ResidualOptions,
) {
  const { batch } = options;
  const teacherNetwork = dit(options.network);
  const space = spaceOf(options.space);
  const time = { t: f32(batch), tau: f32(batch), rate: f32(batch) };
  const line = f32(points, batch);
  const spec = {
    ...(of === "student" ? { params } : {}),
    teacher,
    tokens: i32(batch, teacherNetwork.length),
    s: time,
    u: time,
    t: time,
    data: time,
    course: { t: line, tau: line, rate: line },
    key: u32(2),
  };
  return fn(spec, (input) => {
    const frozen = input.teacher as unknown as DitParams;
    const taught = flowDenoiser(flow, { network: teacherNetwork, params: frozen, space });
    const embedding = frozen.embedding;
    const clean = space.clean(input.tokens as Tensor, embedding);
    const noise = noiseOf(
      flow,
      space,
      input.key as Tensor<[2], "u32">,
      [batch, teacherNetwork.length],
      embedding,
    );
    const [s, u, t, data, course] = [
      input.s,
      input.u,
      input.t,
      input.data,
      input.course,
    ] as unknown as readonly [Time, Time, Time, Time, Time];
    const x = flow.state(noise, clean, s.t);
    const own = (input as { readonly params?: unknown }).params as DitParams | undefined;
    const map =
      own === undefined
        ? held(taught, flow.interpolant)
        : mapDenoiser(flow, {
            network: dit(student(options.network)),
            // As in training, both see one state.
            params: space.kind === "projected" ? { ...own, embedding } : own,
            space,
          });
    return residualsOf(map, taught, { x, s, u, t, data, course }, derivatives);
  });
}
