"""The live page in a real browser, from the deployment to the report: what a person sees, and the buttons."""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Error, Page, ViewportSize, expect

from bench.ports import free_port
from emulator.process import LocalSageMaker
from tests.bench.harness import SIMULATED, TOKEN, Bench, requests_of
from tests.support.chromium import CHROMIUM, axe_violations, chromium
from tests.support.emulator_admin import EmulatorAdmin
from tests.support.polling import HANG_S, poll

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
]

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PLAN: dict[str, Any] = SIMULATED | {
    "model": {"name": "Simulated", "source": "image", "image": "simulated-vllm:1"},
    "endpoint": SIMULATED["endpoint"] | {"role": "local-sagemaker"},
    "slo": {"e2e_p95": "9s"},
}
LOGIN = "127.0.0.2"
"""An interface of this machine that is not the one without a login."""
WAIT_MS = HANG_S * 1000


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


class Watched:
    """A page that notes what goes wrong on it."""

    def __init__(self, browser: Browser, address: str, **context: Any) -> None:
        self.address = address
        self.page = browser.new_context(viewport={"width": 1400, "height": 900}, **context).new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.asked: list[str] = []
        self.errors: list[Error] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(error))  # noqa: PLW0108 - it needs attributes

    def open(self) -> Page:
        """Open it as soon as the server is there."""

        def opened() -> bool:
            try:
                self.page.goto(self.address)
            except Error:
                return False
            return True

        poll(opened)
        return self.page

    def check(self) -> None:
        """Nothing was thrown, and nothing came from elsewhere."""
        assert self.errors == []
        assert all(url.startswith((self.address, "data:")) for url in self.asked), self.asked


def looks_well(page: Page) -> None:
    """Accessible in both schemes, and nothing runs over the edge, on a phone and on a desk."""
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert axe_violations(page) == []
    for width in (400, 1400):
        page.set_viewport_size(ViewportSize(width=width, height=900))
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)


def answers(page: Page) -> int:
    """Answers of the newest step, as shown."""
    return int(page.locator("#step-rows tr").last.locator("td").nth(3).inner_text())


def test_a_person_sees_the_run_from_its_deployment_to_its_answer(bench: Bench, browser: Browser) -> None:
    measure = {"until": "1%", "of": "e2e_p50", "at_most": "6s", "at_least": "3s"}
    plan = bench.plan(PLAN | {"load": {"concurrency": [2, 4], "warm_up": "500ms", "measure": measure}})
    port = str(free_port())
    options = (
        "--plan",
        plan,
        "--results",
        bench.results,
        "--port",
        port,
        "--bind",
        LOGIN,
        "--processes",
        "2",
    )
    with LocalSageMaker(["--create-seconds", "2", "--delete-seconds", "2"]) as local:
        process = bench.start("ui", *options, environment=local.environment)
        watched = Watched(
            browser, f"http://{LOGIN}:{port}/", http_credentials={"username": "bench", "password": TOKEN}
        )
        page = watched.open()
        expect(page.locator("#step")).to_have_text("Deploying ml.g5.xlarge", timeout=WAIT_MS)
        expect(page.locator("#resources li").last).to_contain_text("Creating for", timeout=WAIT_MS)
        expect(page.locator("#steps")).to_be_hidden()
        looks_well(page)
        expect(page.locator("#step")).to_have_text("Step 1 of 2: c2", timeout=WAIT_MS)
        before = poll(lambda: answers(page))
        assert poll(lambda: answers(page) > before)
        expect(page.locator("#left")).to_have_text(
            re.compile(
                r"^at most .* left .*; E2E p50 is (not known yet|known to ±[\d.]+%), ±1% is asked for$"
            ),
            timeout=WAIT_MS,
        )
        expect(page.locator("#worker-rows tr")).to_have_count(2, timeout=WAIT_MS)
        admin = EmulatorAdmin(local.url)
        admin.faults([{"call": "InvokeEndpointWithResponseStream", "fault": "throttle", "nth": 0}])
        expect(page.locator("#error-rows tr").first).to_contain_text("throttled", timeout=WAIT_MS)
        admin.faults([])
        looks_well(page)
        expect(page.locator("#step")).to_have_text("Step 2 of 2: c4", timeout=WAIT_MS)
        expect(page.locator("figure", has_text="TTFT").locator(".legend").first).to_have_text(
            re.compile(r"p50 \d")
        )
        expect(page.locator("#resources")).to_contain_text("being deleted", timeout=WAIT_MS)
        expect(page.locator("#step")).to_have_text("Ended", timeout=WAIT_MS)
    expect(page.locator("#step-rows tr")).to_have_count(2)
    looks_well(page)
    check_figures(bench, page)
    page.get_by_role("button", name="Close this page").click()
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode in (0, 3), err
    expect(page.locator("#banner")).to_contain_text("The page’s server has ended", timeout=WAIT_MS)
    page.keyboard.press("Tab")
    watched.check()


def check_figures(bench: Bench, page: Page) -> None:
    """The page of a finished run shows the figures and verdicts of its report."""
    shown = [row.locator("td").all_inner_texts() for row in page.locator("#step-rows tr").all()]
    summary = json.loads((bench.latest() / "summary.json").read_text())
    judged = summary["experiments"][0]["steps"]
    words = {"pass": "trusted", "warn": "with warnings", "void": "void"}
    assert [[row[1], row[2], int(row[3])] for row in shown] == [
        [step["slo"]["status"], words[step["trust"]["level"]], step["requests_ok"]] for step in judged
    ]
    assert page.locator("#answer-lines p").all_inner_texts() == summary["answer"].splitlines()


def test_a_run_that_is_stopped_on_the_page_ends_in_order(bench: Bench, browser: Browser) -> None:
    plan = bench.plan(SIMULATED | {"load": {"concurrency": [2], "warm_up": "500ms", "measure": "10m"}})
    port = str(free_port())
    process = bench.start("ui", "--plan", plan, "--results", bench.results, "--port", port)
    watched = Watched(browser, f"http://127.0.0.1:{port}/")
    page = watched.open()
    expect(page.locator("#step")).to_have_text("Step 1 of 1: c2", timeout=WAIT_MS)
    assert poll(lambda: answers(page) > 5)
    page.get_by_role("button", name="Stop the run").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep running").click()
    page.get_by_role("button", name="Stop the run").click()
    assert axe_violations(page) == []
    page.get_by_role("dialog").get_by_role("button", name="Stop the run").click()
    expect(page.locator("#step")).to_have_text("Ended", timeout=WAIT_MS)
    expect(page.locator("#banner")).to_contain_text("You have stopped the run.")
    expect(page.locator("#answer-lines")).to_contain_text("The run was interrupted")
    assert bench.left_open() == []
    assert set(requests_of(bench.latest())["outcome"]) <= {"ok", "censored"}
    page.get_by_role("link", name="Open the report").click()
    expect(page.locator("h1").first).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Close this page").click()
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    watched.check()
