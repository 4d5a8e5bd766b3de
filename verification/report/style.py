"""The style sheet of the page."""

STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --back: #ffffff; --soft: #5a5a5a; --line: #d8d8d8; --card: #f6f7f8; --link: #00588c; --bad: #b03a00; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e8; --back: #16181a; --soft: #a8a8a8; --line: #3a3d40; --card: #1f2225; --link: #7cc4f0; --bad: #ff8a5c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 0.75rem; border-bottom: 1px solid var(--line); padding-bottom: 0.3rem; }
h3 { font-size: 1.05rem; margin: 0 0 0.4rem; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus { text-decoration: underline; }
.lead { font-size: 1.1rem; }
code { font: 0.9em ui-monospace, "DejaVu Sans Mono", monospace; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.7rem; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; }
.summary th[scope=row] { font-weight: 400; }
.summary td { white-space: nowrap; }
.checks { min-width: 720px; }
.checks td:first-child, .checks td:last-child { min-width: 15rem; }
.checks td:nth-child(2), .checks td:nth-child(3), .checks td:nth-child(4), .checks td:nth-child(5) { white-space: nowrap; }
.badge { display: inline-block; border-radius: 0.7rem; padding: 0.05rem 0.6rem; font-size: 0.85rem; font-weight: 600; white-space: nowrap; }
.badge.holds { background: #d5efe4; color: #00573f; }
.badge.fails { background: #fbdccb; color: #8a2b00; }
.badge.does-not-apply { background: #e4e4e4; color: #444444; }
.badge.inconclusive { background: #fdf0c8; color: #6b4e00; }
td.fails { color: var(--bad); font-weight: 700; }
article { background: var(--card); border-radius: 0.5rem; padding: 0.9rem 1.1rem; margin: 0.9rem 0; }
article p { margin: 0.4rem 0; }
article ul { margin: 0.2rem 0 0.6rem; padding-left: 1.2rem; font-size: 0.92rem; overflow-wrap: anywhere; }
.glyphs { position: absolute; }
h1, h3, p, dd { overflow-wrap: anywhere; }
.note { color: var(--soft); }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1.2rem; font-size: 0.92rem; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; }
dt[id] { font-weight: 600; margin-top: 1rem; }
dd { margin-left: 0; }
.formula { margin: 0.5rem 0; overflow-x: auto; }
.formula svg { height: auto; max-width: none; display: block; }
.formula svg path, .formula svg use { fill: currentColor; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 0.9rem; margin: 1rem 0; }
.plots figure:only-child { max-width: 640px; }
figure { margin: 0; background: #ffffff; color: #1b1b1b; border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.5rem; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { font-size: 0.85rem; color: #4a4a4a; }
footer { margin-top: 3rem; color: var(--soft); font-size: 0.9rem; }
@media (max-width: 640px) {
  main { padding: 1rem 0.8rem 3rem; }
  .summary .word { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .summary td, .summary th { padding: 0.3rem 0.4rem; }
  .summary thead th { font-size: 0.75rem; }
  article { padding: 0.7rem 0.7rem; }
  .plots { grid-template-columns: 1fr; }
  .checks { min-width: 0; }
  .checks thead { display: none; }
  .checks tr { display: grid; grid-template-columns: repeat(4, auto); border-bottom: 1px solid var(--line); padding: 0.4rem 0; }
  .checks td { border: 0; padding: 0.15rem 0.4rem; }
  .checks td:first-child, .checks td:last-child { grid-column: 1 / -1; min-width: 0; }
  .checks td:first-child { font-weight: 600; }
  .cards, .cards tbody, .cards td { display: block; }
  .cards thead, .cards td:empty { display: none; }
  .cards tr { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); border-bottom: 1px solid var(--line); padding: 0.4rem 0; }
  .cards td { border: 0; padding: 0.15rem 0.4rem; overflow-wrap: anywhere; }
  .cards td:first-child, .cards td.long { grid-column: 1 / -1; }
  .cards td:first-child { font-weight: 600; }
  .checks td:not(:first-child)::before, .cards td:not(:first-child)::before { content: attr(data-label); display: block; color: var(--soft); font-size: 0.8rem; font-weight: 400; }
  dl.facts { grid-template-columns: 1fr; }
  dl.facts dd { margin-bottom: 0.4rem; }
}
@media print { article, figure { break-inside: avoid; } }
"""
