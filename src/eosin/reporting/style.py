"""The look of a report: system fonts, one accent, light and dark, and paper."""

CSS = """
:root { color-scheme: light dark;
  --ink: #1d2230; --soft: #5c6474; --line: #dfe2ea; --ground: #f6f6f9; --card: #ffffff; --accent: #a33a7a;
  --best: #f7e6f0; --warn: #8a4b00; --warn-ground: #fff4e0; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e6e8ee; --soft: #a2a9b8; --line: #343a48; --ground: #15181f; --card: #1d212b; --accent: #e391c4;
  --best: #42263a; --warn: #ffcf8a; --warn-ground: #3a2c14; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
header { border-bottom: 3px solid var(--accent); padding-bottom: 1rem; margin-bottom: 1.5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .8rem; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 62rem; }
.lead, .soft, dd, figcaption { color: var(--soft); }
.lead { margin: 0; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.tile { flex: 1 1 9rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: .8rem 1rem; }
.tile b { display: block; font-size: 1.55rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { font-size: .85rem; color: var(--soft); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.2rem; }
.warn { background: var(--warn-ground); color: var(--warn); border-radius: 10px; padding: .7rem 1rem; margin: .6rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; background: var(--card);
  border: 1px solid var(--line); min-width: 40%; }
th, td { padding: .42rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; }
thead th { color: var(--soft); font-size: .82rem; vertical-align: bottom; }
th:first-child { text-align: left; }
tbody tr:last-child > * { border-bottom: 0; }
td.best { background: var(--best); font-weight: 650; }
td.bad, .badge.bad { color: var(--warn); }
td.sure { font-weight: 650; }
td.text, th.text { text-align: left; white-space: normal; }
table.wrap td, table.wrap th { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.badge { font-size: .72rem; font-weight: 500; color: var(--soft); border: 1px solid var(--line); border-radius: 99px;
  padding: .05rem .5rem; margin-left: .4rem; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; font-size: .9rem; margin: .8rem 0; }
dt { font-weight: 600; } dd { margin: 0; }
.paper { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: .6rem; }
.paper img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.gene img, .slide img { width: 100%; }
figure { margin: 0; } figcaption { font-size: .88rem; margin: .35rem .2rem 0; }
.tissue { display: grid; grid-template-columns: minmax(220px, 330px) 1fr; gap: 1rem; align-items: start; }
.tissue > .slide { position: sticky; top: 1rem; }
.gene:first-child h3 { margin-top: 0; }
.gene + .gene { margin-top: .9rem; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 1rem; align-items: start; }
details { margin: .6rem 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: .6rem 1rem; }
summary { cursor: pointer; font-weight: 600; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .82rem; color: var(--soft); margin: .5rem 0; }
@media (max-width: 760px) { .tissue { grid-template-columns: 1fr; } .tissue > .slide { position: static; } }
@media print { body { background: #fff; } main { max-width: none; padding: 0; } .tissue > .slide { position: static; }
  .gene, .tile, tr { break-inside: avoid; } }
"""
