"""The page in a real browser: it fits, it asks for nothing, it can be read by everybody."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page

from analysis import Report, make_report
from tests.support.chromium import AXE, CHROMIUM, axe_violations, chromium
from tests.support.synthetic_run import Deployed, write_run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def script_failed(error: Error) -> None:
    pytest.fail(f"script error: {error}")


@pytest.fixture(params=[("light", 400), ("light", 1400), ("dark", 400), ("dark", 1400)], ids=str)
def page(
    request: pytest.FixtureRequest, browser: Browser, report: Report, run_folder: Path
) -> Iterator[Page]:
    scheme, width = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = context.new_page()
    opened.asked = []  # type: ignore[attr-defined] # what the page asked for, for the tests
    opened.on("request", lambda r: opened.asked.append(r.url))  # type: ignore[attr-defined, call-overload]
    opened.on("pageerror", script_failed)
    opened.goto((run_folder / "report.html").as_uri())
    yield opened
    context.close()


def test_nothing_is_fetched_and_nothing_runs_over_the_edge(page: Page) -> None:
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []  # type: ignore[attr-defined]
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


def test_everybody_can_use_it(page: Page) -> None:
    missing = page.evaluate(
        """() => {
          const levels = [...document.querySelectorAll("h1,h2,h3,h4")].map((h) => +h.tagName[1]);
          return {
            alt: [...document.images].filter((i) => !i.alt).length,
            scripts: document.scripts.length,
            headings: levels.some((level, i) => i && level > levels[i - 1] + 1),
            scope: [...document.querySelectorAll("th")].filter((t) => !t.scope).length,
            language: document.documentElement.lang,
            main: document.querySelectorAll("main").length,
            ids: [...document.querySelectorAll("[id]")]
              .filter((e) => document.getElementById(e.id) !== e).length,
          };
        }"""
    )
    assert missing == {
        "alt": 0, "scripts": 0, "headings": False, "scope": 0, "language": "en", "main": 1, "ids": 0,
    }  # fmt: skip
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the answer"


def test_text_has_contrast_in_both_modes(page: Page) -> None:
    """WCAG AA, 4.5 : 1, for every colour of text on the page's own backgrounds."""
    worst = page.evaluate(
        """() => {
          const light = (c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
          const parse = (s) => s.match(/[\\d.]+/g).map(Number);
          const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
          const behind = (e) => {
            for (; e; e = e.parentElement) {
              const c = parse(getComputedStyle(e).backgroundColor);
              if (c.length < 4 || c[3] > 0) return c;
            }
            return [255, 255, 255];
          };
          let worst = 21;
          const text = "p,td,th,dt,dd,li,a,h1,h2,h3,figcaption,caption,summary,label";
          for (const e of document.querySelectorAll(text)) {
            const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(behind(e))];
            worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
          }
          return worst;
        }"""
    )
    assert worst >= 4.5


@pytest.mark.skipif(AXE is None, reason="set AXE_CORE to axe.min.js (npm install axe-core)")
def test_axe_finds_nothing(page: Page) -> None:
    assert axe_violations(page) == []


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext: apt-get install poppler-utils")
@pytest.mark.usefixtures("placeholder_pictures")
def test_every_printed_page_of_a_rehearsal_says_so(browser: Browser, tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=30, concurrency=(1,)),), rehearsal=True)
    make_report(tmp_path)
    opened = browser.new_page()
    opened.goto((tmp_path / "report.html").as_uri())
    opened.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    opened.close()
    command = ["pdftotext", "-layout", str(tmp_path / "page.pdf"), "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pages = text.strip("\f").split("\f")
    assert len(pages) > 2
    assert [i for i, one in enumerate(pages) if "Rehearsal: a simulated endpoint" not in one] == []
