"""Adaptive lengths against the real protocol of the steps, with workers and a clock of the test's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.live_dwell import LiveDwell
from runfolder.manifest import ExperimentEntry, Manifest
from tests.locustfiles.fake import Play, floats

if TYPE_CHECKING:
    from configs.load import Load


class DwellPlay:
    """Four users whose answers take 100 ms, give or take a share that is drawn for each."""

    def __init__(
        self, folder: Path, spread: float, concurrency: tuple[int, ...] | None = (4,), **load: Any
    ) -> None:
        rng = np.random.default_rng(11)
        until = {"until": 0.05, "of": "e2e_p95", "at_most": 300.0} | load.pop("until", {})
        self.play = Play(folder, concurrency, workers=1, **({"measure": until} | load))
        self.play.group.answer_ms = lambda _: 100.0 * float(np.exp(spread * rng.normal()))
        manifest = Manifest(run_id="r", plan={"load": {}, "slo": {}}, started_at=0.0)
        entry = ExperimentEntry(
            name="x", model="fake", instance_type="ml.g5.xlarge", payload="p", payload_file="p.jsonl"
        )
        self.lines: list[str] = []
        self.reaches: list[float | None] = []
        made: Load = self.play.experiment.load
        self.dwell = LiveDwell(made, manifest, entry, folder, say=self.lines.append)
        self._tick()

    def _tick(self) -> None:
        status = self.play.sequence.status
        self.dwell.tick({"settled_until": self.play.collector.settled_until})
        if status.reach not in self.reaches:
            self.reaches.append(status.reach)
        self.play.clock.at(0.25, self._tick)

    def seconds(self, first: str, last: str) -> list[float]:
        return [b - a for a, b in (floats(step, first, last) for step in self.play.steps())]


def test_each_measurement_ends_when_it_is_known_well_enough(tmp_path: Path) -> None:
    made = DwellPlay(tmp_path, spread=0.02, concurrency=(4, 8))
    assert made.play() == 0
    measured = made.seconds("measure_started_at", "measure_ended_at")
    assert measured == pytest.approx([90, 90], abs=2), "the shortest that it may be"
    planned = made.seconds("measure_started_at", "measure_planned_end_at")
    assert planned == pytest.approx([300, 300])
    assert [line.partition(":")[0] for line in made.lines] == ["c4"] * 2 + ["c8"] * 2
    assert made.lines[-1].endswith("measured enough")
    assert None in made.reaches, "a new step knows nothing yet"
    assert len(made.reaches) >= 3, "the displays see how near it is"


def test_noise_makes_it_longer_and_the_bound_ends_it(tmp_path: Path) -> None:
    made = DwellPlay(tmp_path, spread=1.0)
    assert made.play() == 0
    (measured,) = made.seconds("measure_started_at", "measure_ended_at")
    assert measured == pytest.approx(300, abs=0.2)
    assert "±5% is asked for" in made.lines[-1]


def test_the_warm_up_ends_when_the_load_has_settled(tmp_path: Path) -> None:
    warm_up = {"until": "steady", "at_most": 60.0}
    made = DwellPlay(tmp_path, spread=0.02, measure=20.0, warm_up=warm_up)
    assert made.play() == 0
    (warm,) = made.seconds("ramped_at", "measure_started_at")
    assert 5 <= warm < 15
    assert made.lines == [f"c4: steady after {made.lines[0].split()[3]} s of warm-up"]
    (measured,) = made.seconds("measure_started_at", "measure_ended_at")
    assert measured == pytest.approx(20, abs=0.2)


def test_a_warm_up_of_an_endpoint_that_does_not_answer_has_its_bound(tmp_path: Path) -> None:
    made = DwellPlay(tmp_path, spread=0.0, measure=20.0, warm_up={"until": "steady", "at_most": 10.0})
    made.play.group.workers[0].failing = "throttled"
    assert made.play() == 4
    assert made.lines == []


def test_an_open_loop_ends_its_measurement_too(tmp_path: Path) -> None:
    made = DwellPlay(tmp_path, 0.02, concurrency=None, until={"of": "throughput", "until": 0.4}, rate=(5.0,))
    assert made.play() == 0
    (measured,) = made.seconds("measure_started_at", "measure_ended_at")
    assert 90 <= measured < 140
