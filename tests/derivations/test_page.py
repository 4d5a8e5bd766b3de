"""The HTML page in a browser: the formulas are set as formulas, in the font that the page carries.

A browser is asked for the sizes of elements. It is not there on every machine; these tests are then skipped.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from derivations import UnitFunction, derive
from derivations.report import build, html

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here (Debian: apt-get install chromium)")

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
OPTIONS += ["--virtual-time-budget=4000", "--dump-dom"]

# What the test adds to the page: the sizes of everything in formulas, and which font is there.
PROBE = """<script>
const size = e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
const em = e => parseFloat(getComputedStyle(e).fontSize);
const tops = e => [2, 0, 1].map(k => e.children[k].getBoundingClientRect().top);  // upper limit, sign, lower limit
const look = fonts => {
  const found = {fonts: fonts.length, status: fonts.map(f => f.status), page: document.documentElement.scrollWidth,
    window: window.innerWidth, maths: [], brackets: [], bars: [], fractions: [], sums: [], links: 0};
  for (const math of document.querySelectorAll('math')) {
    found.maths.push([math.getAttribute('display') || 'inline', ...size(math)]);
  }
  for (const row of document.querySelectorAll('math[display] mrow')) {
    const [first, last] = [row.firstElementChild, row.lastElementChild];
    const high = [...row.querySelectorAll('munderover, mfrac')].map(e => size(e)[1]);
    const kind = {'(': 'brackets', '|': 'bars'}[first.textContent];
    if (high.length && kind && ')|'.includes(last.textContent)) {
      found[kind].push([size(first)[1], Math.max(...high), size(first)[0] / em(row)]);
    }
  }
  for (const part of document.querySelectorAll('math[display] mfrac')) {
    found.fractions.push([size(part)[1], size(part.children[0])[1] + size(part.children[1])[1]]);
  }
  for (const part of document.querySelectorAll('math[display] munderover')) {
    found.sums.push(tops(part));
  }
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    found.links += document.getElementById(link.getAttribute('href').slice(1)) ? 0 : 1;
  }
  document.title = 'found ' + JSON.stringify(found);
};
document.fonts.load('20px "Manifoldflow Maths"').then(look, () => look([]));
</script></body>"""


def in_browser(folder: Path, text: str, width: int = 1300) -> dict:
    """Show a page with the probe in it and return what it found."""
    page = folder / "page.html"
    page.write_text(text.replace("</body>", PROBE), encoding="utf-8")
    where = [f"--window-size={width},2000", f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    done = subprocess.run([BROWSER, *OPTIONS, *where], capture_output=True, text=True, timeout=120, check=True)
    return json.loads(re.search(r"<title>found (.*?)</title>", done.stdout, flags=re.DOTALL)[1])


@pytest.fixture(scope="module")
def text() -> str:
    return html(build(derive(UnitFunction("tanh(z)"))))


@pytest.fixture(scope="module")
def found(text: str, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return in_browser(tmp_path_factory.mktemp("page"), text)


def test_the_font_of_the_page_is_loaded(found):
    assert found["fonts"] == 1
    assert found["status"] == ["loaded"]


def test_every_formula_has_a_size(found):
    kinds = {kind for kind, _, _ in found["maths"]}
    assert kinds == {"inline", "block"}
    assert len(found["maths"]) > 300
    assert all(wide > 2 and high > 4 for _, wide, high in found["maths"])


def test_brackets_stretch_around_what_they_hold(found):
    assert len(found["brackets"]) > 10
    assert len(found["bars"]) > 0
    assert all(bracket > 0.8 * held for bracket, held, _ in [*found["brackets"], *found["bars"]])


def test_brackets_have_the_room_that_they_fill(found):
    # Browsers give a bracket the width of its widest form: 0.81 of the size of letters before the font was cut.
    assert all(0.1 < width < 0.55 for _, _, width in found["brackets"])


def test_fractions_and_sums_are_stacked(found):
    assert len(found["fractions"]) > 5
    assert all(whole > 0.9 * parts for whole, parts in found["fractions"])
    assert len(found["sums"]) > 30
    assert all(tops == sorted(tops) and len(set(tops)) == 3 for tops in found["sums"])


def test_the_page_is_no_wider_than_its_window_and_its_links_lead_somewhere(found, text, tmp_path):
    assert found["page"] <= found["window"]
    assert found["links"] == 0
    narrow = in_browser(tmp_path, text, width=520)
    assert narrow["page"] <= narrow["window"]


def test_the_probe_sees_formulas_that_were_not_set(text, tmp_path):
    broken = text.replace("<math", "<span").replace("</math>", "</span>").replace("data:font/woff2", "data:font/none")
    found = in_browser(tmp_path, re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,AAAA", broken))
    assert found["maths"] == []
    assert found["brackets"] == []
    assert found["status"] != ["loaded"]
