/**
 * All that is to be checked of a variant, and what does not apply to it. Consumed by src/runtime/verify.ts. To add a family: a file
 * like those beside this one, and its lines here.
 */
import type { FlowMap } from "../flow-map.ts";
import type { Flow } from "../flow.ts";
import { clockIdentities } from "./clocks.ts";
import { fieldIdentities } from "./fields.ts";
import type { Checks, Identity, LeftOut } from "./identity.ts";
import { interpolantIdentities } from "./interpolants.ts";
import { flowLossIdentities, mapLossIdentities } from "./losses.ts";
import { mapIdentities } from "./maps.ts";
import { objectiveIdentities } from "./objectives.ts";
import { parameterizationIdentities } from "./parameterizations.ts";
import { eulerIdentity, jumpsIdentity } from "./samplers.ts";
import { sourceIdentities } from "./sources.ts";
import { flowWeightingIdentities, mapWeightingIdentities } from "./weightings.ts";
import { hasPosterior, latestOf } from "./world.ts";

/** Families that look at more than the clock and the source. */
const FOLLOWED = ["interpolant", "flow", "loss", "flow map", "objective", "sampler"] as const;

/** The identities of a declared flow or flow map, as data. */
export function identitiesOf(variant: Flow | FlowMap): Checks {
  const flow = variant.kind === "flow" ? variant : variant.flow;
  const { source, interpolant, clock } = flow;
  const drawn = sourceIdentities(source);
  if (interpolant.length !== undefined)
    return {
      identities: [...clockIdentities(clock), ...drawn.identities],
      leftOut: [
        ...drawn.leftOut,
        ...FOLLOWED.map((family) => ({
          family,
          name: `all of the family "${family}"`,
          reason: `the interpolant "${interpolant.name}" gives tokens times of their own, for which there are no checks yet`,
        })),
      ],
    };
  const fields = fieldIdentities(flow, latestOf(interpolant, source));
  const plain: readonly Identity[] = [
    ...interpolantIdentities(interpolant),
    ...clockIdentities(clock),
    ...drawn.identities,
    ...fields.identities,
    ...flowWeightingIdentities(flow),
  ];
  const missing: readonly LeftOut[] = [...drawn.leftOut, ...fields.leftOut, ...worldsLeftOut(source)];
  if (!hasPosterior(source))
    return {
      identities: plain,
      leftOut: [
        ...missing,
        {
          family: "flow",
          name: "all that is compared with the exact flow",
          reason: `the source "${source.name}" has no density, so the flow of a corpus is not known`,
        },
      ],
    };
  const known: readonly Identity[] = [...plain, ...flowLossIdentities(flow), eulerIdentity];
  if (variant.kind === "flow") return { identities: known, leftOut: missing };
  const objective = objectiveIdentities(variant);
  const mapped: readonly Identity[] = [
    jumpsIdentity,
    ...mapIdentities,
    ...parameterizationIdentities(variant),
    ...objective.identities,
    ...mapWeightingIdentities(variant),
    ...mapLossIdentities(variant),
  ];
  const asked =
    source.kinks === true ? mapped.filter((identity) => !differentiates(identity, variant)) : mapped;
  return {
    identities: [...known, ...asked],
    leftOut: [
      ...missing,
      ...objective.leftOut,
      ...mapped
        .filter((identity) => !asked.includes(identity))
        .map(({ family, name }) => ({
          family,
          name,
          reason: `the density of the source "${source.name}" has kinks where noise ends, and the flow no derivative there`,
        })),
    ],
  };
}

/** Whether an identity asks for derivatives of the exact map along its way: two of the map's, and objectives that have no middle time. */
const differentiates = ({ family, name }: Identity, { objective }: FlowMap): boolean =>
  family === "objective" ? !objective.usesMiddle : name === "Lagrangian" || name === "Eulerian";

const worldsLeftOut = ({ support, name }: Flow["source"]): readonly LeftOut[] =>
  support === "simplex"
    ? [
        {
          family: "flow",
          name: "embedded tokens",
          reason: `the source "${name}" is on the simplex of one-hot states, and rows of an embedding are on none`,
        },
      ]
    : [];
