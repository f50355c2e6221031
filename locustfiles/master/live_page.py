"""What every display of a run shows of the load, as JSON, and its route in Locust's web server."""

import json
import secrets
from collections.abc import Callable
from typing import Any

from flask import Response, request

from configs.experiment import Experiment
from locustfiles.master.clock import Clock, SystemClock
from locustfiles.master.live_series import FIELDS
from locustfiles.master.live_state import live_state, step_state
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.status import StatusBoard
from runfolder.records import StepRow
from runfolder.search_path import read_search_path

PATH = "/live/state"
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_FRESH_S = 0.5
"""How long an answer is used again: several browsers cost as much as one."""
_POINTS = 300
"""The most points of an answer; a page that was just opened asks again at once."""


class LiveState:
    """Makes the answers to the page's polls, and what `bench` shows of the load.

    Args:
        experiment: what is played.
        board: how it stands.
        collector: has the figures.
        clock: the time.
    """

    def __init__(
        self,
        experiment: Experiment,
        board: StatusBoard,
        collector: ReportCollector,
        clock: Clock | None = None,
    ) -> None:
        self._experiment = experiment
        self._board = board
        self._collector = collector
        self._clock = clock or SystemClock()
        self._id = secrets.token_hex(4)
        """Differs for each load, so that the page begins new charts."""
        self._steps: dict[str, tuple[tuple[Any, ...], str]] = {}
        """The last state of each step as JSON, and what it was made of."""
        self._body = ""
        self._made_at = float("-inf")

    def answer(self, load: str, since: int) -> str:
        """The state as JSON, with the points that are new.

        Args:
            load: the id of the page's charts; they are sent anew for another load.
            since: the version of the points that the page has.
        """
        now = self._clock.monotonic()
        if now - self._made_at >= _FRESH_S:
            self._body, self._made_at = self.state(), now
        live = self._collector.live
        points, version, more = live.points(since if load == self._id else 0, _POINTS)
        series = {
            "load": self._id,
            "version": version,
            "more": more,
            "seconds": live.seconds,
            "fields": FIELDS,
            "points": points,
        }
        return f'{self._body[:-1]}, "series": {json.dumps(series, allow_nan=False)}}}'

    def state(self) -> str:
        """The state as JSON, without points."""
        rows = [row for row in self._board.rows if row.announced_at is not None or row.reasons]
        steps = ", ".join(self._step(row) for row in rows)
        experiment = self._experiment
        path = None if experiment.load.search is None else read_search_path(experiment.run_folder)
        state = live_state(experiment, self._board.status, self._collector, self._clock.time(), path=path)
        return f'{json.dumps(state, allow_nan=False)[:-1]}, "steps": [{steps}]}}'

    def _step(self, row: StepRow) -> str:
        """The state of a step as JSON, made again only when something has changed."""
        collector = self._collector
        tally = collector.steps[row.step]
        until = None if row.tail_ended_at is not None else collector.reported_until
        made_of = (row.state, row.reasons, tally.ok, tally.failed, tally.censored, tally.withheld, until)
        known = self._steps.get(row.step)
        if known is not None and known[0] == made_of:
            return known[1]
        turns = self._board.status.turns_per_arrival
        data = step_state(row, tally, self._experiment.live.slo, collector.reported_until, turns)
        state = json.dumps(data, allow_nan=False)
        self._steps[row.step] = (made_of, state)
        return state


def add_live_state(web_ui: Any, answer: Callable[[str, int], str]) -> None:
    """Add the state to Locust's web server, behind Locust's login where it has one.

    Args:
        web_ui: Locust's.
        answer: `LiveState.answer`.
    """

    def state() -> Response:
        since = request.args.get("since", 0, type=int)
        body = answer(request.args.get("load", ""), since)
        return Response(body, mimetype="application/json", headers=_HEADERS)

    web_ui.app.add_url_rule(PATH, "llm_live_state", web_ui.auth_required_if_enabled(state))
