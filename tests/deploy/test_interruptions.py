"""Whatever call a signal falls on, nothing of ours stays: at once, or, after SIGKILL, after teardown."""

import itertools
import signal

import pytest

from tests.deploy.harness import in_parallel
from tests.deploy.interruption_matrix import RUNNING, Ending, Interruption, Stop, play

pytestmark = pytest.mark.e2e

CREATES = (
    "CreateModel",
    "CreateEndpointConfig",
    "CreateSchedule",
    "CreateEndpoint",
    "CreateInferenceComponent",
)
LOOKS = (
    "DescribeEndpoint",
    "DescribeInferenceComponent",
    "DescribeEndpointConfig",
    "DescribeModel",
    "GetSchedule",
)
"""Made again and again, while waiting and while deleting."""
DELETES = (
    "DeleteInferenceComponent",
    "DeleteEndpoint",
    "DeleteEndpointConfig",
    "DeleteModel",
    "DeleteSchedule",
)
STOPS = (
    Stop("GetCallerIdentity"),
    *(Stop(call) for call in CREATES),
    *(Stop(call) for call in LOOKS),
    Stop(RUNNING),
    *(Stop(call) for call in DELETES),
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
CASES = (
    *(Interruption((stop,), number) for stop in STOPS for number in SIGNALS),
    *(Interruption((Stop(call, before=True),), signal.SIGKILL) for call in CREATES),
    Interruption((Stop(RUNNING), Stop("DeleteEndpoint")), signal.SIGINT),
    Interruption((Stop("CreateEndpoint"), Stop("DeleteEndpointConfig")), signal.SIGHUP),
)


BATCH = 2


@pytest.fixture(scope="module")
def endings() -> dict[Interruption, Ending]:
    return dict(zip(CASES, in_parallel(play, CASES), strict=True))


@pytest.fixture(scope="module")
def looks() -> dict[Interruption, Ending]:
    """Runs stopped after each further look of each kind, until none comes to so many."""
    endings: dict[Interruption, Ending] = {}
    on: tuple[str, ...] = LOOKS
    for first in itertools.count(2, BATCH):
        cases = [
            Interruption((Stop(call, nth),), signal.SIGINT)
            for call in on
            for nth in range(first, first + BATCH)
        ]
        played = dict(zip(cases, in_parallel(play, cases), strict=True))
        endings |= played
        last = {case.stops[0].call for case, ending in played.items() if ending.reached and _ends(case)}
        if not (on := tuple(call for call in on if call in last)):
            break
    return endings


def _ends(case: Interruption) -> bool:
    return (case.stops[0].nth - 1) % BATCH == 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_is_left_behind(case: Interruption, endings: dict[Interruption, Ending]) -> None:
    ending = endings[case]
    assert ending.reached == len(case.stops), "the run never came to the call"
    assert fault_of(case, ending) is None


@pytest.mark.parametrize("call", LOOKS)
def test_no_look_of_many_is_the_wrong_one_to_be_stopped_after(
    call: str, looks: dict[Interruption, Ending]
) -> None:
    mine = {c: ending for c, ending in looks.items() if c.stops[0].call == call}
    stopped = {case: ending for case, ending in mine.items() if ending.reached}
    assert stopped
    # How often a wait looks is not the same in every run: the others must have ended well.
    assert {ending.status for case, ending in mine.items() if case not in stopped} <= {0}
    assert {str(case): fault for case, ending in stopped.items() if (fault := fault_of(case, ending))} == {}


def fault_of(case: Interruption, ending: Ending) -> str | None:
    """What was wrong with how an interrupted run ended."""
    killed = case.signal is signal.SIGKILL
    if ending.status != (-signal.SIGKILL if killed else 128 + case.signal):
        return f"it ended with {ending.status}"
    if ending.left and not killed:
        return f"left {ending.left}"
    if ending.left_after_teardown or ending.open_in_ledger:
        return f"teardown left {ending.left_after_teardown}, the ledger {ending.open_in_ledger} open"
    return None
