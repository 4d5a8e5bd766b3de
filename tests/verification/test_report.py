"""The page, the JSON and the table: complete, self-contained, the same every time."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

import manifoldflow as mf
from verification import STATEMENTS, Case, VerificationReport, verify
from verification.errors import OutputError
from verification.report import page, write_report
from verification.report.figures import plots
from verification.report.glyphs import with_shared_glyphs
from verification.report.svg import figure_svg
from verification.results import VerificationReport as Report
from verification.tables import report_table

from .conftest import small_case

VOID = {"meta", "br", "img", "hr", "link", "input"}
LOADING = {"src", "srcset", "data", "poster", "action", "background"}


class Reader(HTMLParser):
    """Collects tags, ids and links, and notices tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.labels: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._read(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._read(tag, dict(attrs))

    def _read(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.ids += [attributes["id"] or ""] if "id" in attributes else []
        self.links += [value or "" for name, value in attributes.items() if name.endswith("href")]
        self.loads += [name for name in attributes if name in LOADING]
        self.labels += [attributes.get("aria-label") or ""] if tag == "svg" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text(report: VerificationReport) -> str:
    return page(report, "manifoldflow verify --data 'a<b'")


@pytest.fixture(scope="module")
def read(text: str) -> Reader:
    return Reader(text)


def test_page_is_well_formed(read: Reader) -> None:
    assert read.open == []
    assert len(read.ids) == len(set(read.ids))


def test_page_loads_nothing(text: str, read: Reader) -> None:
    assert {"script", "link", "iframe", "img", "object", "embed", "base"}.isdisjoint(read.tags)
    assert read.loads == []
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.links)
    assert "http" not in text
    assert not re.search(r"@import|url\((?!#)", text)
    assert all(target in read.ids for target in re.findall(r"url\(#([^)]+)\)", text))


def test_page_shows_every_formula_and_plot(read: Reader, report: VerificationReport) -> None:
    labels = [label for label in read.labels if label]  # the one without holds the outlines of letters, and is hidden
    assert len(labels) == len(read.labels) - 1
    assert {statement.formula for statement in STATEMENTS} <= set(labels)
    drawn = [len(plots(case)) for case in report.cases]
    assert drawn[0] == 9
    assert 3 <= drawn[1] < 9  # tanh: no region of S3, no comparison with SGD, no levels of S10
    assert len(labels) == len(STATEMENTS) + sum(drawn)


def test_page_names_every_verdict(text: str, report: VerificationReport) -> None:
    for case in range(len(report.cases)):
        for statement in STATEMENTS:
            assert f'id="case-{case}-{statement.id}"' in text
    assert "a&lt;b" in text
    assert "a<b" not in text


def test_page_says_how_each_assumption_is_known(text: str) -> None:
    assert "A1: met, proved" in text
    assert "A1: NOT met, the opposite proved" in text
    assert "flattest point: proved" in text
    assert "Tested on a problem made from the case" in text


def test_mentions_of_statements_lead_to_their_sections(text: str, report: VerificationReport) -> None:
    tested = {verdict.statement for verdict in report.verdicts}
    for name, section in re.findall(r'<section id="(S\d+)">(.*?)</section>', text, flags=re.DOTALL):
        spoken = re.sub(r"<(svg|code|h2|h3)\b.*?</\1>", "", section, flags=re.DOTALL)
        links = set(re.findall(r'<a href="#(S\d+)">', spoken))
        plain = set(re.findall(r"\bS\d+\b", re.sub(r"<[^>]*>", "", re.sub(r"<a .*?</a>", "", spoken))))
        assert name not in links
        assert links <= tested
        assert plain.isdisjoint(tested - {name})
    assert '<a href="#S13">S13</a>' in text


def test_letters_are_drawn_once() -> None:
    """Sharing the outlines changes no letter: every one that is used is there, and none twice."""
    figure = Figure()
    FigureCanvasSVG(figure)
    figure.text(0.1, 0.1, "abba $10^{-3}$")
    apart = "".join(figure_svg(figure, name, "letters") for name in ("first", "second"))
    together = with_shared_glyphs(apart)
    assert len(together) < len(apart)
    outlines = re.findall(r'<path id="(g\d+)"', together)
    assert len(outlines) == len(set(outlines)) == len(set(re.findall(r'<use href="#(g\d+)"', together)))
    assert together.count("<use ") == apart.count("<use ")


def test_page_is_small_enough_to_mail(text: str) -> None:
    assert len(text) < 1_000_000


def test_page_without_any_case() -> None:
    assert Reader(page(Report(()))).open == []


def test_json_has_every_number(report: VerificationReport) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    content = json.loads(report.to_json("the command"), parse_constant=refuse)
    assert set(content) == {
        "format", "command", "exit_code", "interrupted", "summary", "versions", "cases", "timing",
    }  # fmt: skip
    assert content["command"] == "the command"
    assert sum(content["summary"].values()) == len(report.verdicts)
    verdict = content["cases"][0]["verdicts"][0]
    assert {"statement", "case", "status", "reason", "hypotheses", "checks", "blind_spot", "seed", "notes"} <= set(
        verdict
    )
    number = verdict["checks"][0]
    assert {
        "quantity",
        "measured",
        "relation",
        "bound",
        "margin",
        "tolerance",
        "tolerance_reason",
        "sample_size",
    } <= set(number)
    assert content["cases"][0]["series"]["noise"]["errors"]["order"] > 0.0
    proofs = content["cases"][0]["certificates"]
    assert {"name", "verdict", "claim", "reason", "arithmetic"} <= set(proofs[0])
    assert [proof["verdict"] for proof in proofs[:4]] == ["proved"] * 4


def test_same_seed_same_bytes_other_seed_other_numbers() -> None:
    first, again, other = (verify([small_case(seed=seed)], ["S1", "S2", "S3"]) for seed in (0, 0, 1))
    assert _untimed(first) == _untimed(again)
    assert _untimed(first) != _untimed(other)
    assert page(first) == page(again)


def _untimed(report: VerificationReport) -> dict[str, object]:
    content: dict[str, object] = json.loads(report.to_json())
    del content["timing"]
    return content


def test_table_has_a_row_for_each_verdict(report: VerificationReport) -> None:
    lines = report_table(report).splitlines()
    for statement in STATEMENTS:
        assert sum(line.startswith(f"{statement.id} ") for line in lines) == len(report.cases)
    assert any("A1 fails" in line for line in lines)


@pytest.mark.parametrize("width", [60, 80, 110, 300])
def test_on_a_terminal_the_table_is_no_wider(report: VerificationReport, width: int) -> None:
    lines = report_table(report, width).splitlines()
    assert all("holds" not in line or len(line) <= max(width, 90) for line in lines)
    whole = report_table(report).splitlines()
    assert any(len(line) > 150 for line in whole)
    left_out = [line for line in lines if "a wider terminal also shows" in line]
    assert len(left_out) == (0 if width == 300 else len(report.cases))
    assert "bound" in lines[2]


def test_files_are_written_whole(report: VerificationReport, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    html, numbers = write_report(report, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "verification.json"]
    assert html.read_text(encoding="utf-8").endswith("</html>\n")
    assert json.loads(numbers.read_text(encoding="utf-8"))["format"] == 1


def test_a_folder_that_cannot_be_written_is_named(report: VerificationReport, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("not a folder")
    with pytest.raises(OutputError, match=r"Cannot write .*file.*--out"):
        write_report(report, taken)


def test_the_page_and_the_table_name_what_is_not_proved() -> None:
    """Where nothing confines z, A1 is seen on the range that occurs."""
    case = Case(mf.datasets.DataSet("two", np.eye(2), np.array([1.0, -2.0]), "made up"), "exp(z) + z", width=3)
    report = verify([case], ["S2"])
    assert "<small>A1 not proved</small>" in page(report)
    assert "S2 holds: Every check is within its tolerance. Seen on a grid and not proved: A1." in report_table(report)
