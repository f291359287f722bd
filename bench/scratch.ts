import { flmStep, initFlm } from "../src/models/training/programs.ts";
import { outputSpec, trace } from "../src/dsl/fn.ts";
import { PASSES } from "../src/compiler/passes/pipeline.ts";
import { inlineCalls } from "../src/compiler/passes/inline.ts";
import { print } from "../src/dsl/program/print.ts";
const options = { network: { vocab: 2000, length: 64, width: 256, depth: 12, heads: 8, conditioning: 128 }, batch: 2, space: "vocabulary", beta1: 0.9, beta2: 0.99, weightDecay: 0, clip: 1, emaDecay: 0.9999 } as const;
const spec = outputSpec(initFlm(options) as never);
const step = flmStep(options, spec as never);
const traced = trace(step as never);
let p = inlineCalls(traced.program); console.log("inlined", p.equations.length);
const hist = (q: typeof p) => { const m = new Map<string, number>(); for (const e of q.equations) m.set(e.op, (m.get(e.op) ?? 0) + 1); return m; };
for (let round = 0; round < 4; round++) for (const [name, pass] of Object.entries(PASSES)) { const t = performance.now(), before = print(p), h = hist(p); const q = pass(p); const changed = print(q) !== before; const h2 = hist(q); const d = [...new Set([...h.keys(), ...h2.keys()])].filter((k) => h.get(k) !== h2.get(k)).map((k) => `${k} ${h.get(k) ?? 0}->${h2.get(k) ?? 0}`).join(", "); console.log(round, name, p.equations.length, "->", q.equations.length, changed ? "CHANGED" : "", d, (performance.now() - t).toFixed(0)); p = q; }
