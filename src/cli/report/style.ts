/**
 * The style sheet of the page: one column on a phone, two on a desktop, light or dark as the reader's system is, and
 * everything unfolded on paper. Text has a contrast of at least 4.5 to 1 in both schemes.
 *
 * Consumed by the page. Colours are variables at the top; `--series` is the colour of the model around an element.
 */
import { shadeRules } from "./denoising.ts";

export const styleSheet = `
:root{color-scheme:light dark;--paper:#f5f6f8;--card:#fff;--ink:#171a1f;--soft:#58616d;--line:#dde1e7;--grid:#e9ecf0;
  --flm:#1f5fd0;--fmlm:#c2410c;--focus:#1f5fd0;--warn:#8a4b00;--reference:#6b7480}
@media (prefers-color-scheme:dark){:root{--paper:#0e1116;--card:#171b22;--ink:#e9ecf1;--soft:#a0a9b6;--line:#2c333d;
  --grid:#232932;--flm:#82aaff;--fmlm:#ff9d66;--focus:#a9c4ff;--warn:#f0b35f;--reference:#8d97a5}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-behavior:smooth}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",
  "Liberation Sans",sans-serif;overflow-wrap:break-word}
main{max-width:1120px;margin:0 auto;padding:28px 16px 64px}
h1{font-size:clamp(1.6rem,1.1rem + 2.4vw,2.5rem);line-height:1.15;letter-spacing:-.02em;margin:.1em 0 .5em;text-wrap:balance}
h2{font-size:1.35rem;letter-spacing:-.01em;margin:2.6rem 0 .3rem}
h3{font-size:1.05rem;margin:1.6rem 0 .6rem}
.card>.name{font-size:1rem;font-weight:600;margin:0}
p{margin:.4rem 0 1rem}
.kicker{margin:0;color:var(--soft);font-size:.9rem;font-weight:600;letter-spacing:.01em}
.intro{color:var(--soft);max-width:68ch}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px;margin:0}
.card>h3:first-child{margin-top:0}
.empty{color:var(--soft);font-style:italic}
.warning{color:var(--warn);font-size:.9rem;margin:.6rem 0 0}
.flm{--series:var(--flm)}.fmlm{--series:var(--fmlm)}.ref{--series:var(--reference)}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:4px}
a{color:var(--flm)}
nav{display:flex;flex-wrap:wrap;gap:4px 20px;margin:1.2rem 0 0;font-size:.95rem}
nav a{padding:6px 0}

.verdicts{list-style:none;margin:0 0 1.4rem;padding:0;font-size:1.1rem;line-height:1.45;max-width:64ch}
.verdicts li{border-inline-start:3px solid var(--ink);padding:.1rem 0 .1rem .8rem;margin:.55rem 0}
.summary{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:14px 24px;margin:0;padding:16px;
  background:var(--card);border:1px solid var(--line);border-radius:12px}
.summary dt{color:var(--soft);font-size:.82rem}.summary dd{margin:0;font-size:.95rem;line-height:1.4;font-weight:600;font-variant-numeric:tabular-nums}
.words{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:14px 32px;margin:1.6rem 0 0;
  font-size:.95rem}
.words dt{font-weight:700;color:var(--series,var(--ink))}.words dd{margin:0;color:var(--soft)}

.legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin:.6rem 0 .7rem;font-size:.92rem;color:var(--soft)}
.legend>span{display:inline-flex;align-items:center;gap:6px}
.legend i{display:inline-block}
.dash,.thin,.thick{width:24px;border-top:2px dashed var(--reference)}
.thin{border-top:1px solid var(--soft)}.thick{border-top:3px solid var(--soft)}
.square{width:9px;height:9px;border:2px solid var(--soft)}
.ramp i{width:14px;height:14px;margin:0 -3px;border-block:1px solid var(--reference)}
.pair,.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:16px}
.columns{grid-template-columns:repeat(auto-fit,minmax(min(100%,280px),1fr))}
figcaption{font-size:.88rem;color:var(--soft);margin-bottom:10px}
figcaption strong{display:block;color:var(--ink);font-size:1rem}
.plot{position:relative;border-radius:4px}
.plot svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:13px;fill:var(--soft);font-variant-numeric:tabular-nums}
.grid{stroke:var(--grid)}.axis{stroke:var(--reference);stroke-width:1}
.line{fill:none;stroke:var(--series);stroke-width:2.4;stroke-linejoin:round;stroke-linecap:round}
.raw{fill:none;stroke-linecap:round;stroke:var(--series);stroke-width:1;opacity:.38}
.held{fill:none;stroke:var(--ink);stroke-width:1;opacity:.55}
.mark{fill:var(--series);stroke:var(--card);stroke-width:1.5}
rect.mark{fill:var(--card);stroke:var(--ink);stroke-width:1.8}
.whisker{fill:none;stroke:var(--series);stroke-width:1.5}
.reference{stroke:var(--reference);stroke-width:1.5;stroke-dasharray:5 4}
.tie{fill:none;stroke:var(--series);stroke-width:1;opacity:.7}
.ends text{font-size:12.5px}
.ends .flm text,.ends .fmlm text{fill:var(--series);font-weight:650}
.hit{fill:transparent}
.cross{stroke:var(--ink);stroke-width:1;opacity:.45;visibility:hidden;pointer-events:none}
.on .cross{visibility:visible}
.tip{position:absolute;top:0;z-index:2;pointer-events:none;background:var(--ink);color:var(--card);border-radius:8px;
  padding:8px 11px;font-size:.84rem;line-height:1.45;width:max-content;max-width:min(270px,85%);font-variant-numeric:tabular-nums}
.tip b{display:block}.tip div{display:flex;justify-content:space-between;gap:14px}

h2+.card{margin-top:.9rem}
.scroll{overflow:auto;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
.numbers{width:100%;font-size:.92rem}
.numbers caption{text-align:start;color:var(--soft);font-size:.88rem;padding-bottom:8px}
.numbers th,.numbers td{padding:5px 10px;text-align:end;white-space:nowrap}
.numbers thead th{color:var(--soft);font-weight:600;font-size:.85rem;border-bottom:1px solid var(--line)}
.numbers th:nth-child(2){text-align:start}
.numbers thead th,.numbers tbody th{white-space:normal}.numbers tbody th{overflow-wrap:anywhere;min-width:4em}
.keep,.numbers .flm th,.numbers .fmlm th{white-space:nowrap}
.numbers tbody th{font-weight:600;color:var(--series)}.numbers .ref th{color:var(--ink)}
.numbers .first>*{border-top:1px solid var(--line)}
.actions{margin:12px 0 0}.actions:not(:has(:not([hidden]))){display:none}
button{font:inherit;font-size:.92rem;color:var(--ink);background:transparent;border:1px solid var(--reference);border-radius:8px;
  padding:7px 16px;min-height:40px;cursor:pointer}
button:hover{border-color:var(--ink)}

.tabs{border:0;margin:0;padding:0;min-width:0}
.tabs legend{padding:0;font-size:.92rem;color:var(--soft);margin-bottom:4px}
.tabs>input{position:absolute;opacity:0;width:1px;height:1px}
.tabs>label{display:inline-block;min-width:44px;min-height:40px;line-height:38px;padding:0 11px;margin:0 6px 6px 0;text-align:center;
  border:1px solid var(--reference);border-radius:8px;cursor:pointer;background:var(--card);font-variant-numeric:tabular-nums}
.tabs>label:hover{border-color:var(--ink)}
.tabs>input:checked+label{background:var(--ink);border-color:var(--ink);color:var(--card);font-weight:650}
.tabs>input:focus-visible+label{outline:3px solid var(--focus);outline-offset:2px}
.panels{margin-top:8px}.panel{display:none}
.name b{color:var(--series)}
.score{color:var(--soft);font-size:.86rem;margin:0 0 .4rem;font-variant-numeric:tabular-nums}
.texts{list-style:none;margin:0;padding:0;font-family:ui-serif,Charter,Georgia,"Liberation Serif",serif;font-size:1.03rem;line-height:1.5}
.texts li{padding:9px 0;border-top:1px solid var(--grid);white-space:pre-wrap;unicode-bidi:isolate;overflow-wrap:anywhere}
.texts li:first-child{border-top:0}

.denoising{margin-bottom:16px}
.stage{display:flex;flex-wrap:wrap;gap:6px 5px;margin:0 0 12px;font-size:1.12rem;align-content:flex-start}
.stage span{padding:2px 7px;border-radius:5px}
.controls{display:flex;flex-wrap:wrap;align-items:center;gap:10px 14px;margin-bottom:14px}
.controls button{min-width:84px}
.controls input{flex:1 1 180px;min-width:120px;height:40px;accent-color:var(--series)}
.controls output{color:var(--soft);font-size:.9rem;min-width:13em;font-variant-numeric:tabular-nums}
.denoising .scroll{max-height:400px;border:1px solid var(--line);border-radius:8px}
.tokens{font-size:.82rem;border-collapse:separate;border-spacing:0}
.tokens th,.tokens td{padding:3px 7px;white-space:nowrap;text-align:start}
.tokens td{text-align:center;border-inline-start:1px solid var(--card);border-top:1px solid var(--card)}
.tokens thead th{position:sticky;top:0;background:var(--card);color:var(--soft);font-weight:600;z-index:1}
.tokens tbody th,.tokens .time{color:var(--soft);font-weight:400;text-align:end}
.tokens tbody th{position:sticky;inset-inline-start:0;background:var(--card)}
.tokens .now th{color:var(--card);background:var(--ink);font-weight:650}
.n{text-decoration:underline 2px;text-underline-offset:3px;font-weight:650}
${shadeRules}
footer{margin-top:3rem;color:var(--soft);font-size:.88rem}

@media (max-width:640px){main{padding:20px 12px 48px}.card{padding:14px 12px}svg text{font-size:14px}
  .ends text{font-size:13.5px}.numbers th,.numbers td{padding:5px 3px}.numbers{font-size:.8rem}
  .numbers tbody th{min-width:0}.numbers thead th{font-size:.74rem;vertical-align:bottom}.verdicts{font-size:1.02rem}
  .summary{grid-template-columns:repeat(2,1fr);padding:14px 12px}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--grid:#e5e5e5;--flm:#1f5fd0;--fmlm:#b53a08}
  main{max-width:none;padding:0}nav,button,.player,.tabs>input,.tabs>label,.tabs>legend{display:none}
  .panel{display:grid;margin-bottom:12px}.scroll{overflow:visible;max-height:none!important}.card{break-inside:avoid}
  .denoising{break-inside:auto}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;
