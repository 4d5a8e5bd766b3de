"""The report: one document, every format of it, and that what is written is right, complete and the same every time."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import mathra
import nbformat
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sympy import Add, Integer, Mul, Symbol, symbols

from derivations import NOTATION, DerivationError, UnitFunction, derive, derive_general
from derivations.analysis.assumptions import derivatives, functions
from derivations.analysis.enclosed import Enclosed
from derivations.checks.result import unchecked, verdict
from derivations.parser import parse_formula
from derivations.printing import width
from derivations.report import build, html, machine_readable, markdown, notebook, pdf, tex
from derivations.report.activation import _DEFINED, activation_blocks
from derivations.report.checks_text import outcome
from derivations.report.derived import own_formula, own_names, specialised
from derivations.report.document import (
    Document,
    Formula,
    Heading,
    Listing,
    Maths,
    Paragraph,
    Reference,
    Table,
    Text,
    spans,
)
from derivations.report.layout import MAX_LINES, relation
from derivations.report.mathml import mathml
from derivations.report.statements import STATEMENTS
from derivations.report.statements import verdict as applies

ROOT = Path(__file__).resolve().parents[2]
UNITS = {
    "cubic": UnitFunction("z**3 + 0.1*z"),
    "sinh": UnitFunction("sinh(z)"),
    "tanh": UnitFunction("tanh(z)"),
    "softplus": UnitFunction("log(1 + exp(z))"),
    "square": UnitFunction("z**2"),
    "undecided": UnitFunction("z*erf(z)"),
    "coefficient": UnitFunction("sin(a*z)"),
    "trained": UnitFunction("c*tanh(z)", own=("c",)),
    "mixed": UnitFunction("a*c1*(z**3 + z) + c2**2*sin(z)", own=("c1", "c2")),
}
KERNEL = '"""Header."""\n\n\ndef values(z, c, a, f):\n    """Fill f."""\n    f[:] = 0.0\n        f[i] += v3\n'


@cache
def document(name: str) -> Document:
    if name.startswith("general"):
        p = int(name[-1])
        return build(derive_general(p, separable=p == 0), command="manifoldflow derive --general")
    derivation = derive(UNITS[name])
    checks = (verdict("sharpness", "autograd", 1e-16, 1e-9, "9 entries"), unchecked("loss", "autograd", 1e-9, "why"))
    return build(derivation, checks, kernel=KERNEL, command="manifoldflow derive", versions={"SymPy": "1"})


NAMES = [*UNITS, "general0", "general2"]


BOUNDS = {"rho1": ("1.1", "1.2"), "rho2": ("2", "2.1"), "gamma": ("0.5", "0.6")}
ENCLOSED = Enclosed(-2.0, 2.0, BOUNDS, "float64 intervals")


# --- formulas -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_two_strict_converters_take_every_formula(name):
    formulas = list(document(name).formulas())
    assert len(formulas) > 150
    for latex, display in formulas:
        assert mathml(latex, display=display).startswith("<math")
        assert mathra.tex_to_svg(latex, display=display, strict=True).startswith("<svg")
        assert not re.search(r"zoo|nan|operatorname|Derivative|None|infty\b.*\\phi\^", latex)


@pytest.mark.parametrize("latex", [r"\foo x", r"\frac{1}{2", r"\left( x"])
def test_a_formula_that_the_converter_does_not_know_is_refused(latex):
    with pytest.raises(DerivationError, match="cannot be converted"):
        mathml(latex)


LETTERS = symbols("A B C D E H")
SUMS = st.recursive(
    st.sampled_from(LETTERS),
    lambda inner: st.lists(inner, min_size=2, max_size=4).map(lambda x: Add(*x))
    | st.lists(inner, min_size=2, max_size=3).map(lambda x: Mul(*x))
    | inner.map(lambda x: -x),
    max_leaves=40,
)


A, B, C, D, E, H = LETTERS
LONG = (A + B) * (sum((x + 1) * y for x in LETTERS for y in LETTERS if x != y) + C) + D * (A + B * C)


@given(SUMS)
@example(LONG)
@example(-H * LONG)
@example(LONG * LONG.subs(A, D) * (A + B))
def test_a_broken_formula_says_the_same_as_the_whole_one(expr):
    lines = relation(Symbol("y"), "==", 17 * expr).lines
    assume(len(lines) <= MAX_LINES)
    whole, *meanings = re.split(r"\\text\{with \} ", " ".join(lines))
    values = dict(zip(LETTERS, (3, 5, 7, 11, 13, 17), strict=True))
    for meaning in reversed(meanings):  # a name may stand in those before it
        values[Symbol(meaning.partition(" ")[0].translate(DROPPED))] = value(meaning, values)
    assert value(whole, values) == (17 * expr).subs(values)


DROPPED = str.maketrans("", "", "\\_{}")


def value(line: str, values: dict[Symbol, Integer]) -> Integer:
    """The number that the right side of printed formulas has, by the toolkit's own parser."""
    text = re.sub(r"\\(Bigl|Bigr|biggl|biggr|left|right|qquad|cdot)|&", "", line.partition("=")[2])
    text = re.sub(r"\\omega_\{(\d)\}", r"omega\1", text).replace("{", "(").replace("}", ")").replace("^", "**")
    text = re.sub(r"(?<=[A-Za-z0-9)])\s+(?=[A-Za-z0-9(])|(?<=[A-Za-z0-9)])(?=\()", "*", text.strip())
    return parse_formula(text, {x.name: x for x in values}).subs(values)


def test_long_formulas_are_broken_and_their_repeated_terms_named():
    formulas = [block for block in document("general2").blocks if isinstance(block, Formula)]
    assert max(len(formula.lines) for formula in formulas) <= MAX_LINES
    assert any(r"\omega_{3} &=" in formula.latex for formula in formulas)
    assert not any("more lines" in formula.latex for formula in formulas)
    assert all(width(line) < 110 for formula in formulas for line in formula.lines)


def test_long_functions_of_the_constants_are_written_by_the_derivatives():
    unit = UnitFunction("z**5 + z**3/7 + exp(z)/3")
    enclosed = Enclosed(-1, 1, dict.fromkeys(["rho1", "rho2", "gamma", "beta"], ("1", "2")), "float64")
    blocks = activation_blocks(unit, enclosed)
    table = next(block for block in blocks if isinstance(block, Table) and len(block.header) == 4)
    shown = [row[1][0].latex for row in table.rows]
    assert shown[1].startswith(r"\displaystyle")
    assert shown[3] == r"\phi'^2 \phi''' / |\phi''|"
    assert max(map(width, shown)) <= 40


@pytest.mark.parametrize("name", ["rho1", "rho2", "gamma", "beta"])
def test_the_short_form_of_a_constant_is_its_function(name):
    unit = UnitFunction("z**4 + z**3 + 2*z")
    text = _DEFINED[name].replace(r"\phi'''", "(c)").replace(r"\phi''", "(b)").replace(r"\phi'", "(a)")
    text = text.replace("^2 ", "**2*").replace("|", "")
    values = dict(zip(symbols("a b c"), (x.subs(unit.z, 2) for x in derivatives(unit)[1:]), strict=True))
    found = parse_formula(text, {x.name: x for x in values}).subs(values)
    assert found == functions(unit)[name].subs(unit.z, 2)
    assert found != 0


def test_what_no_page_can_hold_is_cut_with_a_note():
    record = derive_general(4)["flow_multipliers"]
    lines = relation(record.left, record.relation, record.right).lines
    assert len(lines) == MAX_LINES + 1
    assert "more lines" in lines[-1]


def test_a_formula_for_the_unit_is_the_general_one_with_its_derivatives():
    record = derive(UNITS["sinh"])["sharpness"]
    special = specialised(record.right, UNITS["sinh"])
    assert str(special) == "Sum(2*cosh(z[j, i])**2*a[j, i]**2*s[i], (j, 1, m), (i, 1, n))"


# --- the document -------------------------------------------------------------------------------------------------


def test_an_anchor_that_occurs_twice_and_a_reference_to_nowhere_are_refused():
    heading = Heading(1, spans("One"), "one")
    with pytest.raises(DerivationError, match="twice: \\['one'\\]"):
        Document("t", (heading, heading))
    with pytest.raises(DerivationError, match="nowhere: \\['two'\\]"):
        Document("t", (heading, Paragraph(spans("see [](#two)"))))
    with pytest.raises(DerivationError, match="nowhere: \\['symbol-s'\\]"):
        Document("t", (Formula(("x",), "eq", ("s",)),))


@pytest.mark.parametrize("name", NAMES)
def test_the_report_is_complete(name):
    blocks = document(name).blocks
    anchors = set(document(name).anchors())
    derivation = derive(UNITS[name]) if name in UNITS else derive_general(int(name[-1]), separable=name == "general0")
    assert {f"eq-{record.name}" for record in derivation.records} <= anchors
    assert {f"symbol-{entry.name.rstrip('_').replace('_', '-')}" for entry in NOTATION.values()} <= anchors
    assert {"sec-overview", "sec-assumptions", "sec-notation", "sec-origin"} <= anchors
    table = next(block for block in blocks if isinstance(block, Table))
    assert len(table.rows) == len(STATEMENTS)
    used = {name for block in blocks if isinstance(block, Formula) for name in block.symbols}
    assert {"F", "s", "lambda_", "u"} <= used
    if name in UNITS:
        assert any(isinstance(block, Listing) and "def values" in block.text for block in blocks)


@pytest.mark.parametrize(
    ("name", "statement", "said"),
    [
        ("cubic", "S3", "applies for independent samples"),
        ("sinh", "S13", "applies for independent samples"),
        ("tanh", "S1", "does not apply around"),
        ("softplus", "S4", "does not apply around"),
        ("square", "S3", "vanishes identically"),
        ("undecided", "S5", "not decided"),
        ("coefficient", "S2", "not of the form"),
        ("trained", "S13", "$p = 1$"),
        ("trained", "S8", "applies"),
    ],
)
def test_what_is_said_of_each_statement(name, statement, said):
    (found,) = [x for x in STATEMENTS if x.id == statement]
    assert said in applies(found, UNITS[name], UNITS[name].p)


def test_what_interval_arithmetic_proved_is_said_and_no_more():
    derivation = derive(UNITS["undecided"])
    text = markdown(build(derivation, enclosed=ENCLOSED))
    assert "proves that" in text
    assert r"$`\left[-2, 2\right]`$" in text
    assert "| $`\\rho_1`$ |" in text
    by_id = {x.id: applies(x, derivation.unit, 0, ENCLOSED) for x in STATEMENTS}
    assert "proved there" in by_id["S1"]
    assert "not decided" in by_id["S3"]  # A3 was not proved
    normal = replace(ENCLOSED, constants={**ENCLOSED.constants, "beta": ("1", "2")})
    assert all("proved there" in applies(x, derivation.unit, 0, normal) for x in STATEMENTS if x.needs)
    assert json.loads(machine_readable(derivation, enclosed=normal))["enclosed"]["constants"]["beta"] == ["1", "2"]
    assert "proves that" not in markdown(build(derivation))


@pytest.mark.parametrize("name", NAMES)
def test_symbols_in_running_text_lead_to_the_notation(name):
    paragraphs = [block.content for block in document(name).blocks if isinstance(block, Paragraph)]
    links = [x for content in paragraphs for x in content if isinstance(x, Reference) and "symbol-" in x.target]
    assert len({link.target for link in links}) > 5
    alone = [x.latex for content in paragraphs for x in content if isinstance(x, Maths)]
    assert set(alone).isdisjoint({entry.latex for entry in NOTATION.values()})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sinh", r"\frac{3 \sqrt{3}}{2}"),
        ("cubic", r"\frac{4 \sqrt{10}}{75}"),
        ("tanh", r"\frac{\sqrt{3}}{3}"),
        ("square", "constant on the manifold"),
        ("sinh", r"F_{\star} = 2 m \sum_{i=1}^{n} s_i"),
    ],
)
def test_constants_in_closed_form_are_shown(name, said):
    assert said in tex(document(name))


def test_statements_in_running_text_lead_to_the_overview():
    """And no other number does, such as S11, which is about units to which the others do not apply."""
    made = document("tanh")
    table = next(block for block in made.blocks if isinstance(block, Table))
    assert table.anchors == tuple(f"statement-{statement.id.lower()}" for statement in STATEMENTS)
    said = [span for block in made.blocks if isinstance(block, Paragraph) for span in block.content]
    links = [span for span in said if isinstance(span, Reference) and span.target.startswith("statement-")]
    assert {span.content[0].text for span in links} >= {"S3", "S8", "S10", "S13"}
    assert all(span.target == f"statement-{span.content[0].text.lower()}" for span in links)
    assert any("S11" in span.text for span in said if isinstance(span, Text))
    assert r"\ref{statement" not in tex(made)


def test_a_refused_constant_stops_the_report(monkeypatch):
    wrong = (verdict("rho1", "fifty digits", 1.0, 1e-25, "tampered"),)
    monkeypatch.setattr("derivations.report.activation.check_constants", lambda found: wrong)
    with pytest.raises(DerivationError, match="refused the constants rho1"):
        build(derive(UNITS["sinh"]))


def test_outcomes_in_words():
    assert outcome(verdict("loss", "symbolic", 0.0, 0.0, "")) == "passed: exactly equal"
    assert outcome(verdict("loss", "autograd", 1.0, 1e-9, "")).startswith("REFUSED")
    assert "why" in outcome(unchecked("loss", "autograd", 1e-9, "why"))


# --- the formats --------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page links to, loads and defines."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.tags, self.open = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag not in ("meta", "mspace", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in ("meta", "mspace", "br"):
            assert self.open.pop() == tag


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_well_formed_and_needs_nothing_else(name):
    text = html(document(name))
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link for link in page.links if not link.startswith("#")} == set()
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert page.tags.isdisjoint({"script", "img", "link", "iframe"})
    assert text.count("url(") == 1
    assert "url(data:font/woff2;base64," in text
    assert {"math", "nav", "h1", "h2", "table", "pre"} & page.tags >= {"math", "nav", "h1", "table"}


@pytest.mark.parametrize("name", NAMES)
def test_the_markdown_is_what_github_renders(name):
    text = markdown(document(name))
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert outside.count("$`") == outside.count("`$") > 50
    assert "$$" not in outside
    rows = [line for line in outside.splitlines() if line.startswith("|")]
    inner = [re.sub(r"\\\|", "", row[2:-2]) for row in rows]
    assert all(row.count("|") in (2, 3, 4) for row in inner)
    anchors = set(re.findall(r'<a id="([^"]+)"', text))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


@pytest.mark.parametrize("name", ["sinh", "trained", "general0"])
def test_the_notebook_is_valid_and_its_code_is_python(name):
    program = "import derivations\nderivation = derivations.derive(derivations.UnitFunction('sinh(z)'))\nderivation\n"
    found = nbformat.reads(notebook(document(name), program), as_version=4)
    nbformat.validate(found)
    code = [cell.source for cell in found.cells if cell.cell_type == "code"]
    assert code == [program]
    compile(code[0], "cell", "exec")
    assert not any("$`" in cell.source for cell in found.cells)


@pytest.mark.parametrize("name", ["sinh", "mixed"])
def test_the_latex_compiles_with_two_packages(name, tmp_path):
    text = tex(document(name))
    assert re.findall(r"\\usepackage(?:\[.*?\])?\{(.*?)\}", text) == ["amsmath,amssymb"]
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex on this machine (Debian: apt-get install texlive-latex-recommended)")
    (tmp_path / "d.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in done.stdout
    assert "multiply defined" not in done.stdout


def test_the_pdf_is_one_and_the_same_twice():
    first = pdf(document("sinh"))
    assert first.startswith(b"%PDF")
    assert pdf(document("sinh")) == first


def test_what_is_not_installed_is_said(monkeypatch):
    from derivations.report import mathml as converter

    converter._converter.cache_clear()
    converter.mathml.cache_clear()
    monkeypatch.setitem(sys.modules, "math_core", None)
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(DerivationError, match="pip install math-core"):
        html(document("sinh"))
    with pytest.raises(DerivationError, match="pip install manifoldflow\\[report\\]"):
        pdf(document("sinh"))
    assert markdown(document("sinh"))
    converter._converter.cache_clear()


def test_json_has_every_record_whole():
    derivation = derive(UNITS["mixed"])
    found = json.loads(machine_readable(derivation, (unchecked("loss", "autograd", 1e-9, "why"),), kernel="k"))
    assert [x["name"] for x in found["records"]] == [x.name for x in derivation.records]
    assert found["checks"][0]["deviation"] is None
    assert "more lines" not in json.dumps(found)
    assert len(found["pointwise"]) == len(derivation.pointwise)
    constants = json.loads(machine_readable(derive(UNITS["sinh"])))["assumptions"]["constants"]
    assert constants["beta"]["infimum"] == "3*sqrt(3)/2"


def test_jupyter_shows_records():
    record = derive(UNITS["sinh"])["sharpness"]
    assert record._repr_latex_() == rf"$\displaystyle {record.latex()}$"
    assert "<b>Sharpness.</b>" in record._repr_html_()
    assert "(local_decay)" in derive(UNITS["sinh"])["entry_time"]._repr_html_()
    wrong = replace(record, title="<script>")
    assert "<script>" not in wrong._repr_html_()
    assert derive(UNITS["sinh"])._repr_html_().count("$$") == 2 * len(derive(UNITS["sinh"]).records)


PROGRAM = """
import hashlib
from derivations import UnitFunction, derive
from derivations.report import build, html, machine_readable, markdown, tex
derivation = derive(UnitFunction("c*tanh(z)*exp(-z)", own=("c",)))
document = build(derivation, command="x")
texts = [write(document) for write in (html, markdown, tex)] + [machine_readable(derivation)]
plain = build(derive(UnitFunction("tanh(z)")))
print(hashlib.sha256("".join([*texts, markdown(plain)]).encode()).hexdigest())
"""


def test_the_bytes_do_not_depend_on_the_process():
    digests = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert re.fullmatch("[0-9a-f]{64}", digests.pop())


def test_a_unit_is_shown_with_its_own_names_and_short_derivatives():
    unit = UnitFunction("c*z/(1 + (b*z)**2)", own=("b", "c"))
    record = derive(unit)["jacobian"]
    below = r"b_{j}^{2} z_{j i}^{2} + 1"
    by_theta, by_b, by_c = (line.partition("&= ")[2] for line in own_formula(record, unit).lines)
    square = rf"{{\left({below}\right)^{{2}}}}"
    assert by_theta == rf"\frac{{\left(1 - b_{{j}}^{{2}} z_{{j i}}^{{2}}\right) X_{{i k}} a_{{j i}} c_{{j}}}}{square}"
    assert by_b == rf"- \frac{{2 a_{{j i}} b_{{j}} c_{{j}} z_{{j i}}^{{3}}}}{square}"
    assert by_c == rf"\frac{{a_{{j i}} z_{{j i}}}}{{{below}}}"
    assert own_names(UnitFunction("u*tanh(beta*z)", own=("u", "beta"))) == ()  # both mean something else


def test_a_verdict_that_several_statements_share_is_said_once():
    table = next(block for block in document("tanh").blocks if isinstance(block, Table))
    said = ["".join(part.text for part in row[2] if isinstance(part, Text)) for row in table.rows]
    assert sum("does not apply around" in text for text in said) == 2  # S7 needs no independent samples
    assert said.count("as ") == 7


def test_the_title_of_a_notebook_is_no_markup():
    cell = json.loads(notebook(Document("Derivation for c*tanh(b*z)", ()), ""))["cells"][0]
    assert cell["source"] == [r"# Derivation for c\*tanh(b\*z)"]
