/**
 * The style sheet of the page: light or dark as the reader's system is, everything unfolded on paper. Text has a contrast of at least
 * 4.5 to 1 in both schemes. Consumed by the page. Colours are variables at the top.
 */
export const styleSheet = `
:root{color-scheme:light dark;--paper:#f5f6f8;--card:#fff;--ink:#171a1f;--soft:#58616d;--line:#dde1e7;--link:#1f5fd0;
  --focus:#1f5fd0;--reference:#6b7480;--shade0:#cfe0ff;--shade1:#ffe0c9;--shade2:#d3efd8;--edge:#8b95a3;--area:#cfd6e0;--band:#f3e9ff}
@media (prefers-color-scheme:dark){:root{--paper:#0e1116;--card:#171b22;--ink:#e9ecf1;--soft:#a0a9b6;--line:#2c333d;--link:#82aaff;
  --focus:#a9c4ff;--reference:#8d97a5;--shade0:#27406f;--shade1:#6a3f20;--shade2:#24523a;--edge:#77818f;--area:#3a4453;--band:#271f3a}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",
  "Liberation Sans",sans-serif;overflow-wrap:break-word}
main{max-width:1160px;margin:0 auto;padding:28px 16px 64px}
h1{font-size:clamp(1.6rem,1.1rem + 2.4vw,2.4rem);line-height:1.15;letter-spacing:-.02em;margin:.1em 0 .2em}
h2{font-size:1.35rem;letter-spacing:-.01em;margin:2.4rem 0 .2rem}
p{margin:.3rem 0 .9rem}
a{color:var(--link)}
.kicker{margin:0;color:var(--soft);font-size:.9rem;font-weight:600}
.intro,.note,figcaption{color:var(--soft);max-width:90ch}
.note,figcaption{font-size:.9rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(116px,1fr));gap:12px 16px;margin:1rem 0;padding:16px;
  background:var(--card);border:1px solid var(--line);border-radius:12px}
.tiles dt{color:var(--soft);font-size:.82rem}
.tiles dd{margin:0;font-weight:650;font-size:1.15rem;font-variant-numeric:tabular-nums}
.sentences{margin:0;padding-inline-start:1.2em;color:var(--soft);font-size:.95rem}
nav{display:flex;flex-wrap:wrap;gap:4px 20px;margin:1rem 0 0}
nav a{padding:6px 0}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:4px}
.scroll{overflow:auto;max-width:100%;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:8px 12px}
#dispatches .scroll{max-height:80vh;padding-top:0}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:4px 9px;text-align:end;white-space:nowrap;vertical-align:top;font-weight:400}
.left{text-align:start}
thead th{position:sticky;top:0;background:var(--card);color:var(--soft);font-weight:600;font-size:.82rem;padding-top:10px;
  box-shadow:inset 0 -1px var(--line)}
tbody tr+tr>*{border-top:1px solid var(--line)}
tbody tr:target>*{background:color-mix(in srgb,var(--link) 14%,transparent)}
tfoot>tr>*{font-weight:650;border-top:1px solid var(--edge)}
thead button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-align:inherit}
thead button:hover{color:var(--ink)}
thead [aria-sort=ascending] button::after{content:" \\2191"}
thead [aria-sort=descending] button::after{content:" \\2193"}
summary{cursor:pointer}
tbody summary{font-weight:600;overflow-wrap:anywhere}
tbody dl{display:grid;grid-template-columns:auto 1fr;gap:2px 12px;margin:6px 0 10px;font-size:.86rem;white-space:normal;
  min-width:26em;max-width:40em}
tbody dt{color:var(--soft)}
tbody dd{margin:0;overflow-wrap:anywhere}
tbody ol{margin:0;padding-inline-start:1.8em}
figure{margin:0}
figcaption{margin:8px 0 0}
svg{display:block;width:100%;min-width:720px;height:auto}
svg text{font-size:12px;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .end{text-anchor:end}
.temporary rect{stroke:var(--edge);stroke-width:.5}
.temporary text{fill:var(--ink);font-size:11px;pointer-events:none}
.shade0 rect{fill:var(--shade0)}.shade1 rect{fill:var(--shade1)}.shade2 rect{fill:var(--shade2)}
.temporary:hover rect{stroke:var(--ink);stroke-width:1.5}
.alive{fill:var(--area)}.peak{stroke:var(--reference);stroke-dasharray:5 4}.axis{stroke:var(--reference)}.slot{stroke:var(--line)}.loop{fill:var(--band)}
section>details{margin-top:.6rem}
.code{border-top:1px solid var(--line);padding:6px 0}
.code summary span{color:var(--soft);font-size:.9rem}
pre{overflow:auto;max-height:70vh;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px;font-size:.82rem;
  line-height:1.45;tab-size:2;margin:.3rem 0 .8rem}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
@media (max-width:640px){main{padding:20px 12px 48px}th,td{padding:4px 6px}tbody dl{min-width:0;max-width:78vw}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444}main{max-width:none;padding:0}nav{display:none}
  .scroll,pre{overflow:visible;max-height:none!important}}
`;
