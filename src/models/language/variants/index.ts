/**
 * The variants that come with the project, as declarations. Each is checked by verify in the tests. To add one: a page in this folder,
 * a line in `stock`.
 */
import type { FlowMap } from "../../flow/flow-map.ts";
import type { Flow } from "../../flow/flow.ts";
import type { Variant } from "../../flow/variant.ts";
import { cfm } from "./cfm.ts";
import { continuousTimeConsistency, discreteTimeConsistency } from "./consistency.ts";
import { dfmEulerian, dfmFlow, dfmLagrangian, dfmSemigroup } from "./dfm.ts";
import { embeddingFlow, embeddingFlowMap } from "./embedding.ts";
import { flm } from "./flm.ts";
import { fmlmTwoModels, fmlmTwoStages } from "./fmlm-v1.ts";
import { fmlm, fmlmEulerian, fmlmLagrangian } from "./fmlm.ts";
import { maskedDiffusion, maskedHybrid } from "./masked.ts";
import { sflm } from "./sflm.ts";
import { simplexFlow } from "./simplex.ts";
import { meanFlow, shortcut, velocityFlow } from "./velocity.ts";

export {
  cfm,
  continuousTimeConsistency,
  dfmEulerian,
  dfmFlow,
  dfmLagrangian,
  dfmSemigroup,
  embeddingFlow,
  embeddingFlowMap,
  discreteTimeConsistency,
  flm,
  fmlm,
  fmlmEulerian,
  fmlmLagrangian,
  maskedDiffusion,
  maskedHybrid,
  fmlmTwoModels,
  fmlmTwoStages,
  meanFlow,
  sflm,
  shortcut,
  simplexFlow,
  velocityFlow,
};

/** Those that `fluxion train NAME` trains, by name: for a vocabulary, and for texts of a length. */
export const stock: Readonly<Record<string, (vocab: number, length: number) => Flow | FlowMap>> = {
  flm,
  fmlm,
  "fmlm-lagrangian": fmlmLagrangian,
  "fmlm-eulerian": fmlmEulerian,
  "dfm-flow": dfmFlow,
  "dfm-semigroup": dfmSemigroup,
  "dfm-lagrangian": dfmLagrangian,
  "dfm-eulerian": dfmEulerian,
  cfm: () => cfm,
  "consistency-discrete": discreteTimeConsistency,
  "consistency-continuous": continuousTimeConsistency,
  "velocity-flow": () => velocityFlow,
  "mean-flow": () => meanFlow,
  shortcut: () => shortcut,
  "embedding-flow": () => embeddingFlow(),
  "embedding-flow-map": () => embeddingFlowMap(),
  "simplex-flow": simplexFlow,
  "masked-hybrid": (_vocab, length) => maskedHybrid({ length }),
  "masked-diffusion": (_vocab, length) => maskedDiffusion({ length }),
};

/** All of them, for a vocabulary, and texts of a length where that is part of a declaration. */
export const variants = (vocab: number, length = 4): readonly Variant[] => [
  ...Object.values(stock).map((declared) => declared(vocab, length)),
  fmlmTwoModels(vocab),
  fmlmTwoStages(vocab),
  sflm(vocab),
];
