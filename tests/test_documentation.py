"""What the pages show is true: their Python runs, their commands exist, their links to files lead somewhere."""

import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.utils import new_document

from manifoldflow import cli, errors
from verification import STATEMENTS
from verification.campaign import load

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts and "_static" not in page.parts]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """The arguments of every command of ours that a page shows, lines joined, comments and redirections left out."""
    lines = "".join(blocks(text, "console")).replace("\\\n", " ").splitlines()
    typed = [line.partition(" > ")[0] for line in lines if re.match(r"\$ (\S*/)?manifoldflow ", line)]
    shown = [line.partition("manifoldflow ")[2] for line in typed]
    return [shlex.split(line, comments=True) for line in shown]


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_commands_that_a_page_shows_are_understood(page: Path) -> None:
    for arguments in commands(page.read_text(encoding="utf-8")):
        assert cli.parser().parse_args(arguments).run, arguments


def test_the_task_that_the_page_of_campaigns_repeats_is_one_of_its_description(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "campaigns.md").read_text(encoding="utf-8")
    file = tmp_path / "first.toml"
    file.write_text(blocks(text, "toml")[0], encoding="utf-8")
    tasks = load(file).tasks
    [shown] = [arguments[-1] for arguments in commands(text) if arguments[:2] == ["campaign", "repeat"]]
    assert sum(task.key.startswith(shown) for task in tasks) == 1
    assert f"its {len(tasks)} tasks" in text


def test_no_page_has_the_name_of_one_that_sphinx_writes() -> None:
    """Sphinx's own page would be written over it."""
    assert not {"search", "genindex", "py-modindex"} & {page.stem for page in (ROOT / "docs").glob("*.md")}


def test_a_command_that_is_not_there_is_noticed() -> None:
    found = commands("```console\n$ manifoldflow verify --colour red > table.txt  # no\n```\n")
    assert found == [["verify", "--colour", "red"]]
    with pytest.raises(SystemExit):
        cli.parser().parse_args(found[0])


def test_commands_are_found() -> None:
    shown = [arguments[0] for page in PAGES for arguments in commands(page.read_text(encoding="utf-8"))]
    assert {"verify", "inspect", "derive", "flow", "sgd"} <= set(shown)


def test_the_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    names: dict[str, object] = {}
    exec(compile(program, "README.md", "exec"), names)  # the text is ours
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Stationary")
    assert float(first.split()[-1]) < 1e-8
    assert all(float(number) > 0 for number in second.split())


def test_the_statement_of_the_tutorial_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "docs" / "tutorials" / "order.py"), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    page = (ROOT / "docs" / "tutorials" / "statement.md").read_text(encoding="utf-8")
    assert printed[0] == "T1 holds: Every hypothesis is met and every check is within its tolerance."
    assert printed[0] in page
    assert printed[1].partition(":")[0] in page


def overwritten(pages: list[Path]) -> list[str]:
    """Pages in the place of one that Sphinx writes itself, after ours."""
    theirs = {"search", "genindex", "py-modindex"}
    return [page.stem for page in pages if page.parent.name == "docs" and page.stem in theirs]


def test_no_page_is_overwritten_by_one_of_sphinx() -> None:
    assert overwritten(PAGES) == []
    assert overwritten([ROOT / "docs" / "search.md", ROOT / "docs" / "sgd.md"]) == ["search"]


def test_links_of_the_readme_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    files = [link for link in links if "://" not in link]
    assert "docs/_static/collapse.svg" in files
    assert [link for link in files if not (ROOT / link).exists()] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 100


def table(*rows: list[str]) -> "nodes.table":
    """A table whose first row is its head."""
    made = [nodes.row("", *[nodes.entry("", nodes.paragraph("", cell)) for cell in row]) for row in rows]
    return nodes.table("", nodes.tgroup("", nodes.thead("", made[0]), nodes.tbody("", *made[1:])))


@pytest.fixture
def directives(monkeypatch: pytest.MonkeyPatch):
    """The module of the pages' directives, as Sphinx loads it."""
    pytest.importorskip("sphinx", reason="the pages are built with Sphinx: pip install '.[docs]'")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    yield importlib.import_module("pages")
    sys.modules.pop("pages")


def test_a_public_name_without_a_place_is_noticed(directives, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr(directives, "LOG", SimpleNamespace(warning=lambda text, *names, **rest: said.append(names)))
    known = [("manifoldflow.sharpness_flow", "", "function")]
    domain = SimpleNamespace(get_objects=lambda: iter(known))
    directives.warn_of_missing_names(None, SimpleNamespace(get_domain=lambda name: domain))
    assert ("manifoldflow", "label_noise_sgd") in said
    assert ("manifoldflow", "sharpness_flow") not in said


def test_every_statement_and_assumption_has_an_anchor_in_the_theory() -> None:
    text = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    anchors = re.findall(r"^\((s\d+)\)=\n### S\d+, ", text, flags=re.MULTILINE)
    assert anchors == [statement.id.lower() for statement in STATEMENTS]
    assert re.findall(r"^\[(A\d)\]\{#(a\d)\}$", text, flags=re.MULTILINE) == [(f"A{k}", f"a{k}") for k in (1, 2, 3)]


def test_statements_in_running_text_become_links(directives) -> None:
    links = importlib.import_module("statement_links")
    made = links.pieces("S1 to S14, and S3r of S99", {"S1": "#s1", "S14": "#s14"}.get)
    assert [piece.astext() for piece in made] == ["S1", " to ", "S14", ", and S3r of S99"]
    assert [piece["refuri"] for piece in made[::2]] == ["#s1", "#s14"]
    assert links.pieces("none", {}.get) == ["none"]


def test_cells_of_tables_of_text_carry_the_titles_of_their_columns(directives) -> None:
    labels = importlib.import_module("table_labels")
    for longest, classes, said in (("x" * 40, ["cards"], "b\n\n2"), ("x", [], "2")):
        document = new_document("page")
        document += table(["a", "b", ""], ["1", "2", longest])
        labels.label(SimpleNamespace(builder=SimpleNamespace(format="html")), document, "page")
        (found,) = document.findall(nodes.table)
        assert found["classes"] == classes
        assert [entry.astext() for entry in found.findall(nodes.entry)][3:] == ["1", said, longest]
        assert [entry["classes"] for entry in found.findall(nodes.entry)][3:] == [[], [], ["long"] if classes else []]


def test_the_tree_of_errors_has_every_error(directives) -> None:
    shown = directives.errors()
    assert "\n  DataError  (also a ValueError)\n" in shown
    assert {name for name in errors.__all__ if name.endswith("Error") and name not in shown} == set()


def example(command: str) -> list[str]:
    """The arguments of the example at the end of a command's help."""
    _, _, text = cli.parser()._subparsers._group_actions[0].choices[command].format_help().partition("example:\n")
    assert text.split()[:2] == ["manifoldflow", command]
    return shlex.split(text.strip().splitlines()[0])[1:]


@pytest.mark.parametrize("command", [module.__name__.rpartition(".")[2] for module in cli.COMMANDS])
def test_help_ends_with_an_example_that_is_understood(command: str) -> None:
    arguments = cli.parser().parse_args(example(command))
    assert arguments.command == command
    assert "json" in arguments


def test_output_has_no_colours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert cli.main(["inspect", "--data", "synthetic", "--width", "3"]) == 0
    assert "\x1b" not in capsys.readouterr().out
