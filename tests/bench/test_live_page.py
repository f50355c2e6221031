"""The live page's server: what it shows of a run and its loads, who may ask, and its two buttons."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from bench.cli import SETTINGS
from bench.live_page.load_feed import LoadFeed
from bench.live_page.run_view import RunView
from bench.live_page.server import FILES, MOST_CONNECTIONS, Address, live_page, make_app, metrics_page
from bench.ports import free_port
from common.errors import UserError
from deploy.lifecycle.ledger import Item
from deploy.lifecycle.progress import Progress
from locustfiles.master.live_series import LiveSeries
from runfolder.records import Request
from tests.support.polling import eventually

HOST = {"Host": "127.0.0.1:8089"}
ITEM = Item(
    kind="endpoint", name="e", group="e", run_id="r", owner="o", process="p", region="us-east-1", api="aws",
    account="1", created_at=0.0, expires_at=9.0, instance_type="ml.g5.xlarge", instance_count=1,
    usd_per_hour=1.0,
)  # fmt: skip


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    return RunView(plan="p", run_id="r", folder=tmp_path, spent_usd=lambda: 0.25, max_spend_usd=3.0)


def client(view: RunView, password: str | None = None, host: str = "127.0.0.1") -> FlaskClient:
    return make_app(view, host, password).test_client()


def run_of(page: FlaskClient) -> dict[str, Any]:
    content: dict[str, Any] = page.get("/live/state", headers=HOST).json["run"]  # type: ignore[index]
    return content


def test_the_page_is_whole_and_fetches_nothing_from_elsewhere(view: RunView) -> None:
    page = client(view)
    assert page.get("/", headers=HOST).headers["Location"] == "/live/"
    assert page.get("/live", headers=HOST).headers["Location"] == "/live/"
    for file in FILES.iterdir():
        path = "/live/" if file.name == "index.html" else f"/live/{file.name}"
        answer = page.get(path, headers=HOST)
        assert answer.status_code == 200, file
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        text = file.read_text()
        if not file.name.startswith("uPlot"):
            assert not [
                word for word in ("http:", "https:", "innerHTML", "outerHTML", "eval(") if word in text
            ]
    for path in ("/live/server.py", "/live/../server.py", "/report/manifest.json", "/report/report.html"):
        assert page.get(path, headers=HOST).status_code == 404, path


def test_a_deployment_and_a_deletion_are_followed(view: RunView) -> None:
    page = client(view)
    printed: list[Progress] = []
    assert run_of(page)["stage"] == "check"
    take = view.deploying("ml.g5.xlarge", printed.append)
    take(Progress(ITEM, "status", "Creating", elapsed_s=60.0, usual_s=300.0))
    run = run_of(page)
    assert (run["stage"], run["instance_type"], run["cost"]["spent_usd"]) == ("deploy", "ml.g5.xlarge", 0.25)
    assert [(each["name"], each["detail"], each["usual_s"]) for each in run["resources"]] == [
        ("e", "Creating", 300.0)
    ]
    assert run["now"] - run["resources"][0]["since"] >= 60.0
    take(Progress(ITEM, "status", "InService", elapsed_s=80.0))
    view.enter("load")
    take(Progress(ITEM, "deleting", elapsed_s=2.0))
    run = run_of(page)
    assert (run["stage"], [each["state"] for each in run["resources"]]) == ("delete", ["deleting"])
    assert len(printed) == 3, "the terminal shows it, too"


def test_the_answer_and_the_verdicts_are_the_reports(view: RunView, tmp_path: Path) -> None:
    page = client(view)
    view.take_report()
    assert (run_of(page)["answer"], run_of(page)["report"]) == ([], None)
    steps = [
        {"id": "x/c1", "slo": {"status": "met", "objectives": [{}]}, "trust": {"level": "pass"}},
        {"id": "x/c2", "slo": None, "trust": {"level": "void"}},
        {"id": "x/c3", "slo": {"status": "met", "objectives": []}, "trust": {"level": "pass"}},
    ]
    summary = {"answer": "One.\nTwo.", "experiments": [{"steps": steps}]}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "report.html").write_text("<p>the report")
    view.take_report()
    run = run_of(page)
    assert run["answer"] == ["One.", "Two."]
    assert run["judged"] == {
        "x/c1": {"slo": "met", "trust": "pass"},
        "x/c2": {"slo": None, "trust": "void"},
        "x/c3": {"slo": None, "trust": "pass"},
    }
    assert run["report"] == "../report/report.html"
    report = page.get("/report/report.html", headers=HOST)
    assert (report.status_code, report.get_data(as_text=True)) == (200, "<p>the report")
    assert "sandbox" in report.headers["Content-Security-Policy"], (
        "a page made of answers may press no button"
    )


def test_stop_ends_a_run_once_and_close_only_an_ended_one(
    view: RunView, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    page = client(view)

    def press(button: str, **headers: str) -> int:
        return page.post(f"/live/{button}", headers=HOST | headers).status_code

    assert (press("stop"), press("close")) == (409, 409), "nothing is there to be stopped yet"
    view.enter("deploy")
    assert press("stop", Origin="http://evil.example") == 403
    assert page.get("/live/stop", headers=HOST).status_code in (404, 405)
    assert sent == []
    assert [press("stop"), press("stop")] == [204, 409]
    assert sent == [(os.getpid(), signal.SIGINT)], "a second signal would end the wait for the deletion"
    view.enter("delete")
    assert (press("stop"), press("close")) == (409, 409)
    view.enter("ended")
    assert press("close", Origin="http://evil.example") == 403
    assert not view.closed.is_set()
    assert press("close") == 204
    assert view.closed.is_set()


@pytest.mark.parametrize(
    "path", ["/", "/live/", "/live/state", "/live/live.js", "/metrics", "/report/report.html"]
)
def test_others_see_nothing_without_the_password(view: RunView, path: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").touch()
    page = client(view, "secret", host="0.0.0.0")  # noqa: S104 - a name
    headers = {"Host": "load-box:8089"}
    for wrong in (None, ("bench", "wrong"), ("bench", ""), ("other", "secret")):
        answer = page.get(path, headers=headers, auth=wrong)
        assert (answer.status_code, answer.get_data()) == (401, b"Log in.\n")
        assert "Basic" in answer.headers["WWW-Authenticate"]
    assert page.get(path, headers=headers, auth=("bench", "secret")).status_code in (200, 302)
    assert page.post("/live/stop", headers=headers).status_code == 401


@pytest.mark.parametrize("host", ["evil.example:8089", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_header_is_refused(view: RunView, host: str) -> None:
    for path in ("/live/state", "/metrics"):
        assert client(view).get(path, headers={"Host": host}).status_code == 403


def test_the_metrics_are_served_with_the_page_or_alone(view: RunView) -> None:
    alone = make_app(view, "127.0.0.1", None, page=False).test_client()
    for server in (client(view), alone):
        answer = server.get("/metrics", headers=HOST)
        assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
        assert 'llm_bench_stage{stage="check"} 1.0' in answer.get_data(as_text=True)
        assert answer.headers["Cache-Control"] == "no-store"
        asked = server.get(
            "/metrics", headers=HOST | {"Accept": "application/openmetrics-text; version=1.0.0"}
        )
        assert asked.get_data(as_text=True).endswith("# EOF\n")
    assert [alone.get(path, headers=HOST).status_code for path in ("/", "/live/", "/live/state")] == [404] * 3
    assert alone.post("/live/stop", headers=HOST).status_code == 404


def ask(port: int, request: bytes) -> bytes:
    """What a server answers to these bytes; empty where it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_strangers_neither_take_all_connections_nor_print_to_the_terminal(
    view: RunView, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    with metrics_page(view, Address(port)):
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_CONNECTIONS)]
        assert ask(port, b"") == b"", "one too many: the run needs its file descriptors"
        for connection in idle:
            connection.close()
        get = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n"
        eventually(lambda: b"llm_bench_stage" in ask(port, get % b"Accept: */*"))
        version = b"Accept: application/openmetrics-text; version=x; escaping=dots"
        assert b"llm_bench_stage" in ask(port, get % version)
        assert b"403" in ask(port, get % b"Origin: http://[x")
        assert ask(port, b"GET http://[ HTTP/1.1\r\n\r\n") == b""
    assert capfd.readouterr().err == ""


def test_a_page_for_others_needs_a_password(view: RunView) -> None:
    with pytest.raises(ValueError, match="password"):
        Address(0, "0.0.0.0")  # noqa: S104 - refused
    with (
        pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1"),
        live_page(view, Address(0, "192.0.2.1", "x")),
    ):
        pass


def test_a_taken_port_names_the_option_that_chose_it(view: RunView) -> None:
    port = free_port()
    with (
        live_page(view, Address(port)),
        pytest.raises(UserError, match=f"port {port} cannot be used") as caught,
        metrics_page(view, Address(port, setting="metrics port")),
    ):
        pass
    assert SETTINGS[caught.value.setting or "port"] == "metrics"


class FakeLoad:
    """Locust's web server as the feed sees it."""

    def __init__(self) -> None:
        self.live, self.id, self.step = LiveSeries(), "a", "x/c1"
        self.asked = 0
        app = Flask(__name__)
        app.add_url_rule("/live/state", "state", self._state)
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def _state(self) -> dict[str, Any]:
        self.asked += 1
        since = request.args.get("since", 0, type=int) if request.args.get("load") == self.id else 0
        points, version, more = self.live.points(since, 4)
        series = {"load": self.id, "version": version, "more": more, "points": points}
        series |= {"seconds": 1.0, "fields": ["at"]}
        return {"experiment": self.id, "steps": [{"step": self.step}], "phase": "measure", "series": series}

    def add(self, until: float) -> None:
        row = Request("r", "x/c1", "w0", "p", until - 2, outcome="failed", elapsed_ms=0.0)
        self.live.add(row, until)
        self.live.close_until(until, until, target=1, in_flight=1)

    def end(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def load() -> Iterator[FakeLoad]:
    made = FakeLoad()
    yield made
    made.end()


def test_a_load_is_followed_and_a_page_gets_each_point_once(load: FakeLoad) -> None:
    feed = LoadFeed()
    for second in range(100, 110):
        load.add(float(second))
    with feed.following(load.server.port):
        assert eventually(lambda: len(feed.series("", 0)["points"]) == 11)
        assert str(feed.locust_page) == f"http://127.0.0.1:{load.server.port}/"
        assert load.asked >= 2, "the points came in parts"
        first = feed.series("", 0)
        assert feed.series("a", first["version"])["points"] == []
        load.add(111.0)
        feed.catch_up()
        newer = feed.series("a", first["version"])
        assert [point[0] for point in newer["points"]] == [109.0, 110.0]
        assert feed.series("another load", first["version"])["points"] == feed.series("", 0)["points"]
    assert feed.locust_page is None
    feed.take_last_state({"experiment": "a", "steps": [{"step": "x/c1"}], "phase": "done"})
    assert (feed.state or {}).get("phase") == "done"
    load.id = "b"
    with feed.following(load.server.port):
        assert eventually(lambda: feed.state is not None and feed.state["experiment"] == "b")
    assert feed.earlier == [{"experiment": "a", "steps": [{"step": "x/c1"}]}], "its steps stay on the page"


def test_a_load_that_does_not_answer_disturbs_nothing() -> None:
    feed = LoadFeed()
    with feed.following(free_port()):
        feed.catch_up()
    assert [feed.state, feed.locust_page, feed.series("", 0)["points"]] == [None, None, []]
