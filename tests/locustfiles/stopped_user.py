"""One Locust user, stopped by Locust while it works; prints what its book says. Run by ``test_user.py``.

A process of its own, because Locust patches sockets and threads of the one that imports it.
"""

from locust.env import Environment

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Group

from locustfiles.worker.request_log import RequestLog
from locustfiles.worker.user import ExperimentUser
from tests.locustfiles.support import BODY, Client, ScriptedServer, sends, serving, stream, target

HANG_S = 20
UNFINISHED = sends(*stream()[:2])


class Desk:
    """What a user asks of its worker."""

    step = "x/c1"
    stream = True
    url = "http://truth"

    def __init__(self, server: ScriptedServer) -> None:
        self.stopping = Event()
        self.begun = Event()
        self.begun.set()
        self.request_log = RequestLog("w0", keep_samples=False)
        self.endpoint = self.invokers = self.workload = self.conversations = self
        self.scripted = False
        self._invoker = Client(target(server.port))._invoker

    def bodies_of_user(self) -> Iterator[Any]:
        return iter(lambda: BODY, None)

    def shown(self, _body: Any) -> str:
        return "hello"

    def new(self) -> Any:
        return self._invoker

    def count_tokens(self, _text: str) -> None:
        return None


class StoppedWhileItWaits(ExperimentUser):
    """Locust asks it to stop in the instant between two requests, and it wakes before it can be killed."""

    def wait_time(self) -> int:  # Locust asks when the user counts as waiting
        gevent.spawn(self.stop)
        return 0


def play(user_class: type[ExperimentUser], server: ScriptedServer, *, kill: bool) -> dict[str, Any]:
    desk = Desk(server)
    ExperimentUser.worker = desk  # type: ignore[assignment]
    user = user_class(Environment(user_classes=[user_class]))
    with gevent.Timeout(HANG_S):
        user.start(Group())
        while kill and not server.requests:
            gevent.sleep(0.01)
        if kill:
            user.stop(force=True)
        user.greenlet.join()
    return {
        "sent": len(server.requests),
        "in_flight": desk.request_log.in_flight,
        **asdict(desk.request_log.counts["x/c1"]),
    }


def main(case: str) -> None:
    if case == "between":
        with serving(sends(*stream()), UNFINISHED) as server:
            found = play(StoppedWhileItWaits, server, kill=False)
    else:
        with serving(UNFINISHED) as server:
            found = play(ExperimentUser, server, kill=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
