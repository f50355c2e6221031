"""The live page in a real browser, beside a real load: steps advance, figures move, and the end is told."""

import re
import signal
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Error, Page, ViewportSize, expect

from configs.live_facts import LiveFacts
from configs.slo import Slo
from tests.locustfiles.runs import Run
from tests.support.chromium import CHROMIUM, axe_violations, chromium
from tests.support.polling import eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
]

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
FACTS = LiveFacts(
    plan="<b>sea</b>",  # shown as it is written
    slo=Slo.model_validate({"ttft_p95": "80ms", "e2e_p95": "1s"}),
    usd_per_hour=1.41,
    spent_usd=0.5,
    max_spend_usd=3.0,
)


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def answers(page: Page) -> int:
    """Answers of the newest step, as shown."""
    return int(page.locator("#step-rows tr").last.locator("td").nth(2).inner_text())


def fits(page: Page) -> bool:
    """Whether nothing runs over the edge of the window, on a phone and on a desk."""
    for width in (400, 1400):
        page.set_viewport_size(ViewportSize(width=width, height=900))
        if page.evaluate("document.documentElement.scrollWidth") > width:
            return False
    return True


def test_a_person_sees_the_steps_advance_and_the_end(
    browser: Browser, truth: Callable[..., Run], free_port: int
) -> None:
    run = truth(concurrency=(2, 4), load={"warm_up": 0.3, "measure": 2.0}, live=FACTS)
    process = run.start(mode="ui", web_port=free_port)
    address = f"http://127.0.0.1:{free_port}"
    page = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme="dark").new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    errors: list[Error] = []
    page.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 - it needs attributes
    assert eventually(lambda: run.status().get("phase") in ("ramp", "warm_up", "measure")), run.log()
    page.goto(f"{address}/live")
    expect(page.locator("#step")).to_have_text("Step 1 of 2: c2")
    expect(page.locator(".legend")).not_to_have_count(0)
    assert "Plan <b>sea</b>" in page.locator("#facts").inner_text()
    assert eventually(lambda: answers(page) > 4)
    before = answers(page)
    assert eventually(lambda: answers(page) > before + 4)
    expect(page.locator("#step")).to_have_text("Step 2 of 2: c4", timeout=20_000)
    expect(page.locator("figure", has_text="TTFT").locator(".legend").first).to_have_text(
        re.compile(r"p50 \d")
    )
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert axe_violations(page) == []
    assert fits(page)
    expect(page.locator("#step")).to_have_text("Ended", timeout=20_000)
    assert "All steps were played" in page.locator("#banner").inner_text()
    expect(page.locator("#step-rows tr")).to_have_count(2)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    run.check_counts()
    shown = page.locator("#step-rows tr >> nth=1").locator("td").all_inner_texts()
    measured = [row for row in run.requests() if row["step"] == "x/c4" and row["outcome"] == "ok"]
    step = run.steps()[1]
    window = (float(step["measure_started_at"]), float(step["measure_ended_at"]))
    assert int(shown[2]) == sum(window[0] <= float(row["started_at"]) < window[1] for row in measured)
    assert errors == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the steps"
    assert all(url.startswith((address, "data:")) for url in asked), "nothing is fetched from elsewhere"
