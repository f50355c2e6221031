"""The web page beside a run: only its own origin is heard, a reset harms no step, and an end is told."""

from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from locustfiles.master.webui import SCRIPT, add_page_script, refuse_foreign_requests

HOST = "127.0.0.1:8089"
MESSAGES: dict[str, str] = {}


@pytest.fixture
def client() -> FlaskClient:
    app = Flask(__name__)
    app.add_url_rule("/", "page", lambda: "<html><body>page</body></html>")
    app.add_url_rule("/swarm", "swarm", lambda: "started", methods=["POST"])
    app.add_url_rule("/stop", "stop", lambda: "stopped", methods=["POST"])
    app.add_url_rule("/stats/requests", "stats", lambda: {"stats": []})
    web_ui = SimpleNamespace(app=app)
    refuse_foreign_requests(web_ui, "127.0.0.1")
    add_page_script(web_ui, lambda: MESSAGES.get("ended"), "http://127.0.0.1:8089/live/")
    return app.test_client()


def ask(client: FlaskClient, method: str, path: str, host: str = HOST, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.open(path, method=method, headers={"Host": host, **named}).status_code


@pytest.mark.parametrize("host", [HOST, "localhost:8089", "[::1]:8089"])
def test_the_page_itself_is_heard(client: FlaskClient, host: str) -> None:
    assert ask(client, "GET", "/", host) == 200
    assert ask(client, "POST", "/stop", host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin") == 200
    assert ask(client, "POST", "/stop", host) == 200, "curl sends neither"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
    ],
)
def test_a_page_of_another_origin_stops_no_run_and_reads_nothing(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    assert ask(client, "POST", "/stop", **headers) == 403
    assert ask(client, "GET", "/stats/requests", **headers) == 403


@pytest.mark.parametrize("host", ["evil.example:8089", "127.0.0.1.evil.example:8089", ""])
def test_a_foreign_host_header_is_refused(client: FlaskClient, host: str) -> None:
    assert ask(client, "GET", "/stats/requests", host) == 403


def test_a_link_from_another_page_opens_this_one(client: FlaskClient) -> None:
    assert ask(client, "GET", "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 200


def test_the_page_asks_whether_the_run_has_ended(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Host": HOST}
    page = client.get("/", headers=headers).get_data(as_text=True)
    assert f'<script src="{SCRIPT}" defer></script></body>' in page
    script = client.get(SCRIPT, headers=headers)
    assert script.mimetype == "text/javascript"
    assert 'const PAGE = "http://127.0.0.1:8089/live/";' in script.get_data(as_text=True)
    assert client.get("/stats/requests", headers=headers).json == {"stats": []}
    monkeypatch.setitem(MESSAGES, "ended", "The run has ended.")
    answer = client.get("/stats/requests", headers=headers).json
    assert answer == {"stats": [], "llm_ended": "The run has ended."}


def test_the_plan_decides_what_is_played(client: FlaskClient) -> None:
    assert ask(client, "POST", "/swarm") == 403
    assert ask(client, "POST", "/stop") == 200
