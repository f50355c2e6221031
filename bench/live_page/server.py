"""The server of the live page: static files, the state as JSON, metrics, the report, and two buttons."""

import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

from flask import Flask, Response, redirect, request, send_from_directory
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Response as AnyResponse

from bench.live_page.run_view import RunView
from bench.monitoring.prometheus import exposition
from bench.ports import listening
from bench.terminal import print_status
from common.errors import Setting
from deploy.lifecycle.signals import Interrupted, orderly_exit
from locustfiles.master.webui import refuse_foreign_requests

FILES = Path(__file__).with_name("files")
_TYPES = {
    "index.html": "text/html",
    "live.css": "text/css",
    **dict.fromkeys(
        ("live.js", "run.js", "load.js", "search.js", "charts.js", "dom.js", "text.js"), "text/javascript"
    ),
    "uPlot.iife.min.js": "text/javascript",
    "uPlot.min.css": "text/css",
    "uPlot-LICENSE.txt": "text/plain",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_REPORT_HEADERS = {**_HEADERS, "Content-Security-Policy": "sandbox allow-popups; frame-ancestors 'none'"}
"""The report's own policy allows no script; the sandbox takes its origin, which could stop the run."""
_REPORT_FILES = frozenset({"report.html", "report.md", "summary.json", "summary.csv"})
METRICS = "/metrics"
LOOPBACK = "127.0.0.1"
USER = "bench"
MOST_CONNECTIONS = 64
"""Each has a thread and a file descriptor of the run's own process, whoever connects."""
_IDLE_S = 10.0
"""How long a connection may say nothing."""


class _Server(ThreadedWSGIServer):
    """Serves each connection in a thread, and refuses those that are too many."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._free = threading.Semaphore(MOST_CONNECTIONS)
        super().__init__(*arguments, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, or close it."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection; its thread ends with it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Drop what is no request: it must not print to the terminal of the run."""


class _Quiet(WSGIRequestHandler):
    """Writes no line per request to the terminal of the run."""

    timeout = _IDLE_S

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Drop the line."""


@dataclass(frozen=True)
class _Routes:
    """Answers to the page's requests."""

    view: RunView
    password: str | None

    def log_in(self) -> Response | None:
        """Refuse who gives no password, where one is needed."""
        given = request.authorization
        if self.password is None or (
            given is not None
            and given.username == USER
            and hmac.compare_digest((given.password or "").encode(), self.password.encode())
        ):
            return None
        return _text("Log in.", 401, {"WWW-Authenticate": 'Basic realm="benchmark"'})

    def to_page(self) -> AnyResponse:
        """``/`` is the page, too."""
        return redirect("/live/")

    def state(self) -> Response:
        """What the page polls."""
        body = state_of(self.view, request.args.get("load", ""), request.args.get("since", 0, type=int))
        return Response(json.dumps(body, allow_nan=False), mimetype="application/json", headers=_HEADERS)

    def metrics(self) -> Response:
        """What Prometheus reads."""
        text, content_type = exposition(self.view.facts, request.headers.get("Accept", ""))
        return Response(text, content_type=content_type, headers=_HEADERS)

    def file(self, name: str = "index.html") -> Response:
        """A file of the page."""
        if name not in _TYPES:
            return _text("There is no such file.", 404)
        return Response((FILES / name).read_bytes(), mimetype=_TYPES[name], headers=_HEADERS)

    def report(self, name: str) -> Response:
        """A file of the report in the run folder."""
        folder = self.view.folder
        if folder is None or name not in _REPORT_FILES or not (folder / name).exists():
            return _text("There is no such file.", 404)
        answer = send_from_directory(folder.resolve(), name)
        answer.headers.update(_REPORT_HEADERS)
        return answer

    def stop(self) -> Response:
        """End the run in order."""
        return _text("", 204) if self.view.stop() else _text("There is nothing to stop.", 409)

    def close(self) -> Response:
        """End the server of a run that has ended."""
        if self.view.stage != "ended":
            return _text("The run has not ended.", 409)
        self.view.closed.set()
        return _text("", 204)


def make_app(view: RunView, host: str, password: str | None, *, page: bool = True) -> Flask:
    """The routes of the page and of the metrics.

    Args:
        view: what they show.
        host: the interface on which the server listens.
        password: of the user ``bench``; None on this machine's loopback, which needs no login.
        page: whether there is a page; otherwise there are only the metrics.
    """
    app, routes = Flask(__name__, static_folder=None), _Routes(view, password)
    refuse_foreign_requests(SimpleNamespace(app=app), host)
    app.before_request(routes.log_in)
    app.add_url_rule(METRICS, METRICS, routes.metrics, methods=["GET"])
    for path, route, method in (
        ("/", routes.to_page, "GET"),
        ("/live", routes.to_page, "GET"),
        ("/live/", routes.file, "GET"),
        ("/live/<name>", routes.file, "GET"),
        ("/live/state", routes.state, "GET"),
        ("/live/stop", routes.stop, "POST"),
        ("/live/close", routes.close, "POST"),
        ("/report/<name>", routes.report, "GET"),
    ):
        if page:
            app.add_url_rule(path, path, route, methods=[method], strict_slashes=True)
    return app


def state_of(view: RunView, load: str, since: int) -> dict[str, object]:
    """The page's whole state: of the run, of its load, and of the loads before it.

    Args:
        view: of the run.
        load: id of the load of which the page has points.
        since: the version of these points.
    """
    feed = view.feed
    return {
        "run": view.state(),
        "load": feed.state,
        "locust_page": feed.locust_page,
        "earlier": feed.earlier,
        "series": feed.series(load, since),
    }


def _text(text: str, status: int, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    return Response(
        f"{text}\n" if text else "", status, mimetype="text/plain", headers={**_HEADERS, **headers}
    )


@dataclass(frozen=True)
class Address:
    """Where a server listens, and who may ask.

    Raises:
        ValueError: no password, although others can connect.
    """

    port: int
    host: str = LOOPBACK
    password: str | None = None
    """Of the user ``bench``; on loopback, no login is needed."""
    setting: Setting = "port"
    """Where the port was set."""

    def __post_init__(self) -> None:
        if self.host != LOOPBACK and not self.password:
            raise ValueError("a page that others can open needs a password")

    def url(self, path: str) -> str:
        """Address of a path, for the user."""
        shown = LOOPBACK if self.host in ("0.0.0.0", "") else self.host  # noqa: S104 - compared, not bound
        return f"http://{shown}:{self.port}{path}"


@contextmanager
def live_page(view: RunView, address: Address) -> Iterator[None]:
    """Serve the page, and the metrics, inside the block. The view gets the page's address.

    Raises:
        UserError: the port cannot be used, or there is no such interface.
    """
    with _serving(view, address, page=True):
        view.address = address.url("/live/")
        yield


@contextmanager
def metrics_page(view: RunView, address: Address) -> Iterator[None]:
    """Serve the metrics alone inside the block.

    Raises:
        UserError: the port cannot be used, or there is no such interface.
    """
    with _serving(view, address, page=False):
        yield


@contextmanager
def _serving(view: RunView, address: Address, *, page: bool) -> Iterator[None]:
    with listening(address.host, address.port, address.setting) as listener:
        app = make_app(view, address.host, None if address.host == LOOPBACK else address.password, page=page)
        server = _Server(address.host, address.port, app, _Quiet, fd=listener.fileno())
        thread = threading.Thread(target=server.serve_forever, name="live page", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def stay_until_closed(view: RunView) -> None:
    """Keep the page after a run, until Ctrl-C or its button."""
    print_status(f"the live page stays at {view.address} until you press Ctrl-C here or Close there")
    try:
        with orderly_exit():
            view.closed.wait()
    except Interrupted:
        pass
