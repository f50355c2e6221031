"""Hosts that are hosts: namespaces with cables, so that a network can fail as networks do."""

import pytest

from tests.bench.harness import Bench, requests_of
from tests.bench.hosts import PLAN, hosts
from tests.support.network import Link, Network
from tests.support.polling import HANG_S

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("namespaces")]


def test_a_host_is_reached_until_its_cable_is_pulled_and_again_once_it_is_back() -> None:
    with Network("one", "two") as network:
        one, two = network["one"], network["two"]
        assert one.reaches(two, within_s=20.0)
        two.cut()
        assert not one.reaches(two, within_s=0.0)
        two.mend()
        assert one.reaches(two, within_s=20.0)


@pytest.mark.usefixtures("lossy_links")
def test_a_worker_far_away_is_shown_as_far_and_not_as_slow(bench: Bench) -> None:
    far = Link(delay_s=0.015, loss=0.01)
    plan = PLAN | {"load": {"concurrency": [6], "warm_up": "500ms", "measure": "4s"}}
    with hosts(bench, "one", "two", "three", links={"three": far}) as run:
        master = run.master(plan, workers=3)
        workers = [run.worker(name) for name in ("one", "two", "three")]
        assert master.wait(HANG_S) == 0, run.said("master")
        assert [worker.wait(HANG_S) for worker in workers] == [0, 0, 0]
    rows = requests_of(bench.latest())
    assert len(run.answered()) == len(rows) == (rows["outcome"] == "ok").sum(), "no row is lost"
    (step,) = bench.summary()["experiments"][0]["steps"]
    farthest, *near = sorted(step["workers"], key=lambda worker: -worker["rtt_ms"])
    assert farthest["rtt_ms"] >= 30
    assert all(worker["rtt_ms"] < 30 for worker in near)
    assert sum(worker["share"] for worker in step["workers"]) == pytest.approx(1)
    told = [reason for reason in step["trust"]["reasons"] if reason["code"] == "workers_disagree"]
    assert [reason["values"]["worker"] for reason in told] == [farthest["worker"]]
    assert "round trips to the endpoint: " in told[0]["text"]
