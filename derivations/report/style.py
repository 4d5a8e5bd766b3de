"""The style sheet of the HTML page: light and dark, for reading and for paper."""

STYLE = """:root { color-scheme: light dark; --text: #1c1c1e; --back: #fdfdfc; --soft: #5d5d63; --line: #d9d8d4; --card: #f3f2ee; --link: #00588c;
  --good: #00634a; --bad: #a32d00; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e3; --back: #17181a; --soft: #a3a3a8; --line: #3b3c40; --card: #212225; --link: #83c5f2; --good: #6fcfae; --bad: #ff9b73; }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--back); color: var(--text); font: 17px/1.55 Charter, "Bitstream Charter", "Source Serif 4", Cambria, Georgia, serif;
  display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 54rem) minmax(0, 1fr); }
nav { grid-column: 1; font: 14px/1.4 system-ui, -apple-system, "Segoe UI", sans-serif; padding: 2rem 1rem 2rem 1.5rem; position: sticky; top: 0;
  max-height: 100vh; overflow-y: auto; align-self: start; justify-self: end; max-width: 19rem; }
nav p { color: var(--soft); margin: 0 0 0.5rem; }
nav ol { list-style: none; margin: 0; padding: 0; }
nav li { margin: 0.15rem 0; }
nav li.level1 { margin-top: 0.55rem; }
nav li.level2 { padding-left: 1rem; font-size: 13px; }
main { grid-column: 2; padding: 2rem 1.25rem 5rem; min-width: 0; }
@media (max-width: 75rem) {
  body { display: block; }
  nav { position: static; max-height: 40vh; max-width: 54rem; margin: 0 auto; border-bottom: 1px solid var(--line); }
  main { max-width: 54rem; margin: 0 auto; }
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.4rem; margin: 3rem 0 0.8rem; padding-bottom: 0.25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.12rem; margin: 2.2rem 0 0.5rem; }
h4 { font-size: 1rem; margin: 1.4rem 0 0.4rem; }
h2 .number, h3 .number, h4 .number { color: var(--soft); font-weight: 400; margin-right: 0.3em; }
p { margin: 0.6rem 0; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus { text-decoration: underline; }
a.symbol { color: inherit; }
math { font-family: "Manifoldflow Maths", math; font-size: 1.04em; }
math:not([display]) { padding-right: 0.08em; }
.kept { white-space: nowrap; }
code, pre { font: 0.86em/1.45 ui-monospace, SFMono-Regular, "DejaVu Sans Mono", Menlo, monospace; }
pre { background: var(--card); border-radius: 0.4rem; padding: 0.8rem 1rem; }
.wide { overflow-x: auto; overflow-y: hidden; }
pre.wide { overflow-y: auto; }
.formula { display: flex; align-items: center; gap: 1rem; margin: 0.7rem 0 0.3rem; }
.formula > .wide { flex: 1 1 auto; min-width: 0; padding: 0.3rem 0; }
.formula > .number { color: var(--soft); flex: none; }
.formula math[display="block"] { width: max-content; min-width: 100%; }
.formula mtd { padding-top: 0.25em; padding-bottom: 0.25em; }
.symbols { font-size: 0.82rem; color: var(--soft); margin: 0 0 0.8rem; }
.symbols a { margin-right: 0.35em; }
ol.steps { padding-left: 1.6rem; margin: 0.6rem 0; }
ol.steps > li { margin: 0.5rem 0; }
ol.steps > li > p { margin: 0.2rem 0; }
ol.steps > li::marker { color: var(--soft); }
table { border-collapse: collapse; font-size: 0.92rem; width: 100%; margin: 0.6rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.32rem 0.7rem 0.32rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; }
tr:target td, .formula:target { background: color-mix(in srgb, var(--link) 14%, transparent); }
ul.checks { list-style: none; padding: 0; margin: 0.5rem 0; font: 0.8rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--soft); }
ul.checks li { display: inline-block; margin-right: 1.2rem; }
ul.checks li::before { content: "\\2713\\a0"; color: var(--good); font-weight: 700; }
ul.checks li.refused::before { content: "\\2717\\a0"; color: var(--bad); }
ul.checks li.unchecked::before { content: "\\2013\\a0"; color: var(--soft); }
ul.checks li.refused { color: var(--bad); }
ul.checks b { color: var(--text); font-weight: 600; }
@media print {
  body { display: block; font-size: 11pt; } nav { position: static; max-height: none; max-width: none; }
  .formula, tr, li { break-inside: avoid; } .wide { overflow: visible; }
}
"""
