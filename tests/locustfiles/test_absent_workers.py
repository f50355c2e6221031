"""No worker can be reached: the run waits for them, for a stated time."""

from pathlib import Path

from common.exit_codes import ExitCode
from tests.locustfiles.fake import FakeWorker, Play, floats


def cut_off(play: Play, *back_after_s: float) -> None:
    """Lose all workers in the first measure window; each is back so many seconds later."""

    def cut() -> None:
        for worker in play.group.workers:
            worker.live = False

    play.during("measure", cut, after=5.0)
    for worker, seconds in zip(play.group.workers, back_after_s, strict=False):

        def come_back(worker: FakeWorker = worker) -> None:
            worker.live = True
            play.group.report(worker)

        play.during("measure", come_back, after=5.0 + seconds)


def test_a_run_whose_workers_were_all_away_goes_on_with_all_of_them(play: Play) -> None:
    cut_off(play, 40.0, 55.0)
    assert play() == ExitCode.INCOMPLETE
    assert play.states() == ["degraded", "complete"]
    assert "worker_lost" in play.codes(1)
    assert [step["workers"] for step in play.steps()] == ["2", "2"], "it waited for the second, too"


def test_a_worker_that_stays_away_is_not_waited_for_longer_than_half_a_minute(play: Play) -> None:
    cut_off(play, 40.0)
    assert play() == ExitCode.INCOMPLETE
    assert "fewer_workers" in play.codes(2)


def test_a_run_whose_workers_stay_away_ends(play: Play) -> None:
    cut_off(play)
    assert play() == ExitCode.INTERRUPTED
    assert play.sequence.status.message == "the last worker was lost, and none was back within 120 s"
    assert play.states() == ["degraded", "planned"]


def test_a_shape_goes_on_in_time_with_the_worker_that_is_back(tmp_path: Path) -> None:
    play = Play(tmp_path, None, shape=[{"concurrency": 2, "for": 20}, {"concurrency": 8, "for": 10}])
    cut_off(play, 10.0)
    assert play() == ExitCode.INCOMPLETE
    announced, opened = floats(play.steps()[1], "announced_at", "measure_started_at")
    assert announced - opened < 1, "its users would come after its window"
    assert "fewer_workers" in play.codes(2)
