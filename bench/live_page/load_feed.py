"""State and points of the loads of a run, fetched from Locust's web server."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

Data = dict[str, Any]

_POLL_S = 1.0
_STARTING_S = 0.25
"""Seconds between two looks until Locust's web server is there."""
_TIMEOUT_S = 2.0
_POINTS = 1800
"""The most points of a load that are kept."""


class LoadFeed:
    """The loads of a run, as the page shows them: of each, the last state and the points of its charts.

    Locust is asked once a second, however many browsers look.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._port = 0
        self._load = ""
        self._version = 0
        self._fields: list[str] = []
        self._seconds = 1.0
        self._points: dict[float, tuple[int, list[float | None]]] = {}
        """Start of a point's interval → the version that brought it, and the point."""
        self.state: Data | None = None
        """The last state of the current load, or of the last one."""
        self.earlier: list[Data] = []
        """Experiment and steps of the loads before it."""
        self.locust_page: str | None = None
        """URL of Locust's own page while it is there."""

    @contextmanager
    def following(self, port: int) -> Iterator[None]:
        """Follow a load inside the block.

        Args:
            port: of its web server, on this machine's loopback.
        """
        self._port, ended = port, threading.Event()
        follower = threading.Thread(target=self._follow, args=(ended,), name="load feed", daemon=True)
        follower.start()
        try:
            yield
        finally:
            ended.set()
            follower.join()
            self.locust_page = None

    def _follow(self, ended: threading.Event) -> None:
        wait_s = 0.0
        while not ended.wait(wait_s):
            try:
                wait_s = 0.0 if self._fetch() else _POLL_S
                self.locust_page = f"http://127.0.0.1:{self._port}/"
            except (OSError, HTTPException, ValueError):  # it starts or ends
                wait_s, self.locust_page = _STARTING_S, None

    def catch_up(self) -> None:
        """Take what is new before the web server ends."""
        with suppress(OSError, HTTPException, ValueError):
            while self._fetch():
                pass

    def take_last_state(self, state: object) -> None:
        """Take the state with which the load ended, from its status file."""
        if isinstance(state, dict):
            self.state = state

    def _fetch(self) -> bool:
        """Take what is new. Returns whether there is more: Locust sends many points in parts."""
        with self._lock:
            answer = _get(self._port, f"/live/state?load={self._load}&since={self._version}")
            self._take(answer)
        return bool(answer["series"]["more"])

    def _take(self, answer: Data) -> None:
        series = answer["series"]
        if series["load"] != self._load:
            if self.state is not None:
                self.earlier.append({"experiment": self.state["experiment"], "steps": self.state["steps"]})
            self._points.clear()
        self._load, self._version = series["load"], series["version"]
        self._fields, self._seconds = series["fields"], series["seconds"]
        for point in series["points"]:
            self._points[point[0]] = (self._version, point)
        for surplus in sorted(self._points)[:-_POINTS]:
            del self._points[surplus]
        self.state = {key: value for key, value in answer.items() if key != "series"}

    def series(self, load: str, since: int) -> Data:
        """The points that were made or have changed since a version.

        Args:
            load: id of the load of which the page has points; those of another one are sent anew.
            since: the version of the points that the page has.
        """
        with self._lock:
            after = since if load == self._load else 0
            return {
                "load": self._load,
                "version": self._version,
                "seconds": self._seconds,
                "fields": self._fields,
                "points": [point for version, point in self._points.values() if version > after],
            }


def _get(port: int, path: str) -> Data:
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise HTTPException(f"status {response.status}")
        content: Data = json.loads(response.read())
        return content
    finally:
        connection.close()
