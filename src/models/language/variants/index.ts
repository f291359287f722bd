/**
 * The variants that come with the project, as declarations. Each is checked by verify in the tests. To add one: a page in this folder,
 * a line here.
 */
import type { FlowMap } from "../../flow/flow-map.ts";
import type { Flow } from "../../flow/flow.ts";
import { dfmEulerian, dfmFlow, dfmLagrangian, dfmSemigroup } from "./dfm.ts";
import { flm } from "./flm.ts";
import { fmlm, fmlmEulerian, fmlmLagrangian } from "./fmlm.ts";
import { meanFlow, shortcut, velocityFlow } from "./velocity.ts";

export {
  dfmEulerian,
  dfmFlow,
  dfmLagrangian,
  dfmSemigroup,
  flm,
  fmlm,
  fmlmEulerian,
  fmlmLagrangian,
  meanFlow,
  shortcut,
  velocityFlow,
};

/** All of them, for a vocabulary. */
export const variants = (vocab: number): readonly (Flow | FlowMap)[] => [
  flm(vocab),
  fmlm(vocab),
  fmlmLagrangian(vocab),
  fmlmEulerian(vocab),
  dfmFlow(vocab),
  dfmSemigroup(vocab),
  dfmLagrangian(vocab),
  dfmEulerian(vocab),
  velocityFlow,
  meanFlow,
  shortcut,
];
