"""A worker's arrivals come in the order of their times, none early, whatever is added while it waits."""

import time
from collections.abc import Callable

import gevent
import pytest

from locustfiles.messages import Arrival
from locustfiles.worker.alarm import Alarm, LoopAlarm, make_alarm
from locustfiles.worker.arrival_queue import ArrivalQueue

Taken = list[tuple[str, int, float]]


def queue(alarm: Alarm) -> tuple[ArrivalQueue, Taken]:
    taken: Taken = []
    made = ArrivalQueue(lambda step, arrival: taken.append((step, arrival.number, time.time())), alarm)
    return made, taken


@pytest.mark.parametrize("make", [make_alarm, LoopAlarm], ids=["of the platform", "of the loop"])
def test_arrivals_are_handed_on_in_order_and_never_early(make: Callable[[], Alarm]) -> None:
    waiting, taken = queue(make())
    running = gevent.spawn(waiting.run)
    now = time.time()
    late, early = Arrival(2, now + 0.15), Arrival(1, now + 0.05)
    waiting.add("b", [late])
    gevent.sleep(0.01)  # it waits for the late one, and must not stick to it
    waiting.add("a", [early])
    waiting.add("c", [Arrival(3, now - 1.0)])
    with gevent.Timeout(30):
        while len(taken) < 3:
            gevent.sleep(0.01)
    running.kill()
    assert [(step, number) for step, number, _ in taken] == [("c", 3), ("a", 1), ("b", 2)]
    assert taken[1][2] >= early.at
    assert taken[2][2] >= late.at


def test_a_stop_hands_on_what_came_due_and_drops_the_rest() -> None:
    waiting, taken = queue(LoopAlarm())
    now = time.time()
    waiting.add("a", [Arrival(number, now + number) for number in (1, 2, 3)])
    waiting.stop(now + 2.0)
    assert [number for _, number, _ in taken] == [1, 2]
    assert waiting.oldest_due is None


def test_the_oldest_that_is_due_is_known() -> None:
    waiting, _ = queue(LoopAlarm())
    assert waiting.oldest_due is None
    now = time.time()
    waiting.add("a", [Arrival(1, now + 60)])
    assert waiting.oldest_due is None
    waiting.add("a", [Arrival(2, now - 1)])
    assert waiting.oldest_due == now - 1
