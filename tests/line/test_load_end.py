"""How a load ended is one sentence that says what to do, also where the load generator itself broke down."""

import os
from pathlib import Path

import pytest

from bench.calibration.probe import client_environment
from bench.load import LoadEnd, LoadOptions, play_load
from configs.experiment import Experiment
from tests.load.runs import experiment
from tests.load.support import response, sends, serving

pytestmark = pytest.mark.e2e

EXPIRED = response(403, b'{"message":"expired"}', {"x-amzn-ErrorType": "ExpiredTokenException"})


def end_of(played: Experiment) -> LoadEnd:
    with serving(sends(EXPIRED)) as server, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in client_environment(f"http://127.0.0.1:{server.port}", None).items():
            patch.setenv(name, value)
        file = played.run_folder / "experiment.json"
        file.write_text(played.model_dump_json(), encoding="utf-8")
        return play_load(file, played.run_folder / "locust", LoadOptions(), spent_too_much=lambda: False)


def test_a_refusal_names_its_remedy(tmp_path: Path) -> None:
    end = end_of(experiment(tmp_path, load={"measure": 60.0}))
    assert end.code == 4
    assert "expired" in end.message
    assert "renew them" in end.message


def test_a_load_generator_that_breaks_down_is_told_by_its_own_last_words_alone(tmp_path: Path) -> None:
    (tmp_path / "locust.log").write_text("[…] host/ERROR/x: of an earlier experiment\n", encoding="utf-8")
    end = end_of(experiment(tmp_path, payload=Path("nowhere.jsonl")))
    assert "\n" not in end.message
    assert "ended with code 2" in end.message
    assert "nowhere.jsonl" in end.message
    assert "earlier" not in end.message
