/**
 * The variants that come with the project, as declarations. Each is checked by verify in the tests. To add one: a page in this folder,
 * a line here.
 */
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

/** All of them, for a vocabulary, and texts of a length where that is part of a declaration. */
export const variants = (vocab: number, length = 4): readonly Variant[] => [
  flm(vocab),
  fmlm(vocab),
  fmlmLagrangian(vocab),
  fmlmEulerian(vocab),
  fmlmTwoModels(vocab),
  fmlmTwoStages(vocab),
  dfmFlow(vocab),
  dfmSemigroup(vocab),
  dfmLagrangian(vocab),
  dfmEulerian(vocab),
  cfm,
  discreteTimeConsistency(vocab),
  continuousTimeConsistency(vocab),
  velocityFlow,
  meanFlow,
  shortcut,
  embeddingFlow(),
  embeddingFlowMap(),
  simplexFlow(vocab),
  maskedHybrid({ length }),
  maskedDiffusion({ length }),
  sflm(vocab),
];
