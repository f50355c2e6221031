"""The Locust user under Locust's own stopping: a request that has begun always gets its row."""

from locust.env import Environment

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.pool import Group

from locustfiles.recorder import Recorder
from locustfiles.user import SageMakerUser
from tests.load.support import BODY, Client, ScriptedServer, sends, serving, stream, target

HANG_S = 20


class Desk:
    """What a user asks of its worker."""

    step = "x/c1"
    stream = True
    url = "http://truth"
    prompts = {"p1": "hello"}  # noqa: RUF012 - read only

    def __init__(self, server: ScriptedServer) -> None:
        self.stopping = Event()
        self.recorder = Recorder("w0", keep_samples=False)
        self._invoker = Client(target(server.port))._invoker

    def new_user(self) -> tuple[Iterator[Any], Any]:
        return iter(lambda: BODY, None), self._invoker

    def count_tokens(self, _text: str) -> None:
        return None


class StoppedWhileItWaits(SageMakerUser):
    """Locust asks it to stop in the instant between two requests, and it wakes before it can be killed."""

    def wait_time(self) -> int:  # Locust asks when the user counts as waiting
        gevent.spawn(self.stop)
        return 0


@contextmanager
def playing(
    user_class: type[SageMakerUser], monkeypatch: pytest.MonkeyPatch, *scripts: Any
) -> Iterator[tuple[SageMakerUser, Desk, ScriptedServer]]:
    """A user at work; leaving waits until it has ended by itself."""
    with serving(*scripts) as server, gevent.Timeout(HANG_S):
        desk = Desk(server)
        monkeypatch.setattr(SageMakerUser, "worker", desk, raising=False)
        user = user_class(Environment(user_classes=[user_class]))
        user.start(Group())
        yield user, desk, server
        user.greenlet.join()


def test_a_user_that_locust_stops_between_two_requests_starts_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfinished = sends(*stream()[:2])
    with playing(StoppedWhileItWaits, monkeypatch, sends(*stream()), unfinished) as (_, desk, server):
        pass
    assert desk.recorder.in_flight == 0
    assert desk.recorder.counts["x/c1"].ok == len(server.requests) == 1


def test_a_user_killed_amid_a_request_leaves_its_row_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(SageMakerUser, monkeypatch, sends(*stream()[:2])) as (user, desk, server):
        while not server.requests:
            gevent.sleep(0.01)
        user.stop(force=True)
    counts = desk.recorder.counts["x/c1"]
    assert (counts.started, counts.censored, desk.recorder.in_flight) == (1, 1, 0)
    assert not desk.stopping.is_set()
    assert len(server.requests) == 1
