"""Whatever call a signal falls on, nothing of ours stays: at once, or, after SIGKILL, after teardown."""

import signal

import pytest
from deploy_harness import in_parallel
from deploy_interrupt import RUNNING, Ending, Interruption, Stop, play

pytestmark = pytest.mark.e2e

CREATES = (
    "CreateModel",
    "CreateEndpointConfig",
    "CreateSchedule",
    "CreateEndpoint",
    "CreateInferenceComponent",
)
AWAITED = ("DescribeEndpoint", "DescribeInferenceComponent")
DESCRIBED = ("DescribeEndpointConfig", "DescribeModel", "GetSchedule")
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
    *(Stop(call, nth) for call in AWAITED for nth in (1, 2)),
    *(Stop(call) for call in DESCRIBED),
    Stop(RUNNING),
    *(Stop(call) for call in DELETES),
)
CASES = (
    *(
        Interruption((stop,), number)
        for stop in STOPS
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    ),
    *(Interruption((Stop(call, before=True),), signal.SIGKILL) for call in CREATES),
    Interruption((Stop(RUNNING), Stop("DeleteEndpoint")), signal.SIGINT),
    Interruption((Stop("CreateEndpoint"), Stop("DeleteEndpointConfig")), signal.SIGHUP),
)


@pytest.fixture(scope="module")
def endings() -> dict[Interruption, Ending]:
    return dict(zip(CASES, in_parallel(play, CASES), strict=True))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_is_left_behind(case: Interruption, endings: dict[Interruption, Ending]) -> None:
    ending = endings[case]
    assert ending.reached == len(case.stops), "the run never came to the call"
    if case.signal is signal.SIGKILL:
        assert ending.status == -signal.SIGKILL
    else:
        assert ending.status == 128 + case.signal
        assert ending.left == ()
    assert ending.left_after_teardown == ()
    assert ending.open_in_ledger == 0
