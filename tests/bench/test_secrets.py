"""No secret of the user's environment stands in anything that a run leaves, shows or hands to a child."""

import json
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.bench.harness import SIMULATED, Bench
from tests.support.polling import HANG_S, eventually

pytestmark = pytest.mark.e2e

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDPLANTED12",
    "AWS_SECRET_ACCESS_KEY": "planted-secret-key",
    "AWS_SESSION_TOKEN": "planted-session-token",
}
TOKEN = {"MY_HUB_TOKEN": "planted-hub-token"}
RECEIVER = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_EXPORTER_OTLP_HEADERS": "api-key=planted-otlp-key",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
}
PASSWORD = "planted-password"
PROXY = {"HTTPS_PROXY": f"http://planted-user:{PASSWORD}@127.0.0.1:9"}
"""Of a proxy that a load may need: children have it too."""
PLANTED = [*KEYS.values(), *TOKEN.values(), "planted-otlp-key", PASSWORD]
LIVE_PAGES = ("/live/", "/live/state", "/metrics")
LOCUSTS_PAGES = ("/", "/live/state", "/stats/requests", "/exceptions", "/logs", "/tasks", "/stats/report")


def planted_in(text: str) -> list[str]:
    return [value for value in PLANTED if value in text]


def left_with_secrets(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if planted_in(path.read_bytes().decode("utf-8", "replace"))]


def handed_to_children(parent: int) -> set[str]:
    """What is planted in the environment or on the command line of a process's descendants.

    The container of the gated model is left out: the token is for it.
    """
    found: set[str] = set()
    for process in psutil.Process(parent).children(recursive=True):
        try:
            # In this order: a process that becomes a container between the two readings must not count.
            environment, command = process.environ(), process.cmdline()
        except psutil.Error:
            continue
        if not any("emulator.containers" in word for word in command):
            found |= {*planted_in("\n".join((*command, *environment.values())))}
    return found - {PASSWORD}


def test_no_secret_of_the_environment_is_left_shown_or_handed_on(bench: Bench) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    plan = SIMULATED | {
        "model": SIMULATED["model"] | {"hub_token_env": "MY_HUB_TOKEN"},
        "load": {"concurrency": [2], "warm_up": "1s", "measure": "60s"},
    }
    arguments = ("ui", "--plan", bench.plan(plan), "--results", bench.results, "--port", port)
    process = bench.start(*arguments, environment=KEYS | TOKEN | RECEIVER | PROXY)
    handed_on: set[str] = set()
    shown: dict[str, str] = {}

    def has_shown(server: str, pages: tuple[str, ...]) -> bool:
        handed_on.update(handed_to_children(process.pid))
        for page in pages:
            try:
                with urllib.request.urlopen(f"{server}{page}", timeout=5) as answer:  # noqa: S310 - loopback
                    shown[f"{server}{page}"] = answer.read().decode("utf-8", "replace")
            except urllib.error.HTTPError:
                continue  # a page that this version of Locust does not have
            except OSError:
                return False
        return True

    live = f"http://127.0.0.1:{port}"

    def locusts_page() -> str | None:
        page: str | None = json.loads(shown[f"{live}/live/state"])["locust_page"]
        return page and page.rstrip("/")

    assert eventually(lambda: has_shown(live, LIVE_PAGES) and locusts_page() is not None)
    locust = str(locusts_page())
    assert eventually(lambda: has_shown(locust, LOCUSTS_PAGES))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert {f"{locust}/stats/requests", f"{locust}/live/state", f"{live}/live/"} <= shown.keys()
    assert {page: planted_in(text) for page, text in shown.items() if planted_in(text)} == {}
    assert planted_in(out + err) == []
    assert left_with_secrets(bench.folder) == []
    assert bench.ledger_files(), "the ledger is not where this test looks"
    assert handed_on == set()
