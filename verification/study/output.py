"""The files of a study: a page, a table each as Markdown and CSV, a plot each as SVG, and all numbers as JSON."""

from __future__ import annotations

from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from verification.files import write_text
from verification.report.document import document, escape, header, plots, table
from verification.report.svg import standalone
from verification.results import as_json, versions

from .comparison import LEVEL, VERDICT_LEVEL
from .figures import figures
from .run import Study
from .tables import tables

BLIND_SPOTS = (
    "The clocks are read along the flow's own direction, the order by the whole distance; no law of the scatter is.",
    "One starting point and one time horizon a case; other seeds give others.",
    "Rank one is seen up to the noise that the step size leaves.",
)


def write(study: Study, folder: Path, command: str) -> list[Path]:
    """Write everything; returns the page and the numbers."""
    drawn = figures(study)
    for found in tables(study):
        write_text(folder / f"{found.name}.md", found.markdown() + "\n")
        write_text(folder / f"{found.name}.csv", found.csv())
    for name, (_, svg) in drawn.items():
        write_text(folder / f"{name}.svg", standalone(svg))
    numbers = write_text(folder / "study.json", numbers_json(study, command) + "\n")
    return [write_text(folder / "index.html", page(study, drawn, command)), numbers]


def numbers_json(study: Study, command: str) -> str:
    """Every number, with seeds, sample sizes and versions."""
    return as_json({
        "command": command, "exit_code": study.exit_code, "versions": versions(),
        "level": LEVEL, "verdict_level": VERDICT_LEVEL, "blind_spots": list(BLIND_SPOTS), **_plain(study),
    })  # fmt: skip


def _plain(value: Any) -> Any:
    """Records as dictionaries, with the verdict of those that have one."""
    if is_dataclass(value) and not isinstance(value, type):
        found = {name: _plain(item) for name, item in vars(value).items()}
        status = getattr(value, "status", None)
        return found if status is None else {**found, "status": status}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def page(study: Study, drawn: dict[str, tuple[str, str]], command: str) -> str:
    """The page; it loads nothing from elsewhere."""
    words = {"holds": "hold", "fails": "fail", "inconclusive": "are inconclusive"}
    counts = ", ".join(f"{study.statuses.count(name)} {word}" for name, word in words.items() if name in study.statuses)
    stopped = " Interrupted; what follows was finished before." if study.interrupted else ""
    lead = f"{len(study.statuses)} comparisons: {counts or 'none'}.{stopped}"
    body = [header("Label-noise SGD and the flow", command, lead)]
    body += [f"<p>{escape(name)}: {escape(reason)}</p>" for name, reason in study.skipped.items()]
    for found in tables(study):
        shown = [item for name, item in drawn.items() if name.split("-")[0] == found.name]
        body.append(f"<section><h2>{escape(found.title)}</h2>{plots(shown)}{table(found.header, found.rows)}"
                    f'<p class="note">{escape(found.note)}</p></section>')  # fmt: skip
    seen = " ".join(BLIND_SPOTS)
    used = ", ".join(f"{name} {number}" for name, number in versions().items())
    body.append(f"<footer><p><b>Cannot see:</b> {escape(seen)} Seed {study.seed}. {escape(used)}.</p></footer>")
    return document("manifoldflow: label-noise SGD and the flow", body)
