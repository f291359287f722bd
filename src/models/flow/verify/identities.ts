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
import { positionedIdentities } from "./positions.ts";
import { mapIdentities } from "./maps.ts";
import { objectiveIdentities } from "./objectives.ts";
import { parameterizationIdentities } from "./parameterizations.ts";
import { lawIdentities } from "./laws.ts";
import type { LawfulSampler } from "./laws.ts";
import { jumpsIdentity, samplerIdentities } from "./samplers.ts";
import type { OrderedSampler } from "./samplers.ts";
import { sourceIdentities } from "./sources.ts";
import type { View } from "./view.ts";
import { flowWeightingIdentities, mapWeightingIdentities } from "./weightings.ts";
import { hasPosterior } from "./world.ts";

/** A sampler of a user's own, and what it claims. */
export type ClaimedSampler = OrderedSampler | LawfulSampler;

/**
 * The identities of a declared flow or flow map, as data; see viewOf.
 * @param samplers samplers to look at, besides those that come with the project
 */
export function identitiesOf(
  { variant, whole, latest }: View,
  samplers: readonly ClaimedSampler[] = [],
): Checks {
  const flow = variant.kind === "flow" ? variant : variant.flow;
  const { source, clock } = flow;
  const drawn = sourceIdentities(source);
  const fields = fieldIdentities(flow, latest);
  const plain: readonly Identity[] = [
    ...(whole.length === undefined ? interpolantIdentities(whole) : positionedIdentities(whole)),
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
  const ordered = samplers.filter((sampler) => "order" in sampler);
  const lawful = samplers.filter((sampler) => "keepsLaw" in sampler);
  const [orders, laws] = [samplerIdentities(flow, latest, ordered), lawIdentities(flow, latest, lawful)];
  const sampling = {
    identities: [...orders.identities, ...laws.identities],
    leftOut: [...orders.leftOut, ...laws.leftOut],
  };
  const known: readonly Identity[] = [...plain, ...flowLossIdentities(flow), ...sampling.identities];
  if (variant.kind === "flow") return withoutKinks(variant, known, [...missing, ...sampling.leftOut]);
  const maps = mapIdentities(flow);
  const objective = objectiveIdentities(variant);
  return withoutKinks(
    variant,
    [
      ...known,
      jumpsIdentity,
      ...maps.identities,
      ...parameterizationIdentities(variant),
      ...objective.identities,
      ...mapWeightingIdentities(variant),
      ...mapLossIdentities(variant),
    ],
    [...missing, ...sampling.leftOut, ...maps.leftOut, ...objective.leftOut],
  );
}

/** Without what asks for derivatives of the exact flow, where the density of its source has kinks. */
function withoutKinks(
  variant: Flow | FlowMap,
  identities: readonly Identity[],
  leftOut: readonly LeftOut[],
): Checks {
  const { source } = variant.kind === "flow" ? variant : variant.flow;
  if (source.kinks !== true) return { identities, leftOut };
  const asked = identities.filter((identity) => !differentiates(identity, variant));
  return {
    identities: asked,
    leftOut: [
      ...leftOut,
      ...identities
        .filter((identity) => !asked.includes(identity))
        .map(({ family, name }) => ({
          family,
          name,
          reason: `the density of the source "${source.name}" has kinks where noise ends, and the flow no derivative there`,
        })),
    ],
  };
}

/** Of the map's identities, those that ask for its derivatives along its way. */
const DIFFERENTIATING = new Set(["Lagrangian", "Eulerian", "derivatives"]);

/** Whether an identity asks for derivatives of the exact map: some of the map's, objectives without a middle time, orders of samplers. */
function differentiates({ family, name }: Identity, variant: Flow | FlowMap): boolean {
  if (family === "objective") return variant.kind === "flow map" && !variant.objective.usesMiddle;
  return DIFFERENTIATING.has(name) || name.startsWith("order of ");
}

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
