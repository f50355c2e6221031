"""Whole runs with faults: credentials, the endpoint, the disk, mistakes, and Locust's web page."""

import json
import re
import resource
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.locustfiles.runs import Run
from tests.locustfiles.support import STREAM_HEAD, response, sends, stream
from tests.support.polling import eventually

pytestmark = pytest.mark.e2e

EXPIRED = response(
    403,
    b'{"message":"The security token included in the request is expired"}',
    {"x-amzn-ErrorType": "ExpiredTokenException"},
)


def test_credentials_that_expire_stop_the_run_with_the_remedy(scripted: Callable[..., Any]) -> None:
    good = [sends(*stream())] * 3
    run, server = scripted(*good, sends(EXPIRED), concurrency=(1,), load={"measure": 60.0})
    assert run.play() == 4, run.log()
    run.check_counts()
    assert "renew" in run.status()["message"]
    assert run.status()["message"] in run.log()
    assert "renew" in run.steps()[0]["reasons"]
    assert len(server.requests) < 20


def test_a_worker_that_cannot_take_part_is_named_at_once_and_is_no_refusal_of_the_endpoint(
    truth: Callable[..., Run], free_port: int
) -> None:
    run = truth()
    run.start(mode="worker", master_port=free_port)
    for name in [name for name in run.environment if name.startswith("AWS_") and "KEY" in name]:
        del run.environment[name]
    poor = run.start(mode="worker", master_port=free_port)
    assert run.play(mode="master", expect_workers=2, master_port=free_port) == 1, run.log()
    sentence = run.status()["message"]
    assert re.search(r"worker w\d on \S+ cannot take part: there are no AWS credentials", sentence)
    assert "aws configure" in sentence
    assert run.status()["phase"] == "done"
    assert poor.wait(20) == 2
    assert not run.requests()


def test_an_endpoint_that_is_not_there_stops_the_run(scripted: Callable[..., Any]) -> None:
    missing = response(
        400, b'{"message":"Endpoint truth of account 1 not found."}', {"x-amzn-ErrorType": "ValidationError"}
    )
    run, _ = scripted(sends(missing), load={"measure": 60.0})
    assert run.play() == 4, run.log()
    assert "InService" in run.status()["message"]


def test_a_file_that_can_grow_no_more_ends_the_run_in_order_and_is_named(truth: Callable[..., Run]) -> None:
    run = truth(concurrency=(2, 4), load={"measure": 60.0})
    process = run.start()
    assert eventually(lambda: bool(run.requests())), run.log()
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (8000, 8000))  # requests.csv is there first
    assert process.wait(40) == 1, run.log()
    assert "requests.csv cannot be written" in run.status()["message"]
    assert (run.status()["phase"], run.status()["exit_code"]) == ("done", 1)
    assert [step["state"] for step in run.steps()] == ["interrupted", "planned"]
    assert len(run.requests()) > 2, "what is there is kept"


def test_throttles_do_not_stop_a_run(scripted: Callable[..., Any]) -> None:
    throttled = response(400, b'{"message":null}', {"x-amzn-ErrorType": "ThrottlingException"})
    run, _ = scripted(*[sends(*stream()), sends(throttled)] * 3, sends(*stream()))
    assert run.play() == 0, run.log()
    run.check_counts()
    assert sum(row["error_class"] == "throttled" for row in run.requests()) == 3


def test_a_run_in_which_nothing_works_is_not_played_to_its_end(scripted: Callable[..., Any]) -> None:
    run, _ = scripted(sends(STREAM_HEAD, close=True), concurrency=(2, 4), load={"measure": 60.0})
    assert run.play() == 4, run.log()
    run.check_counts()
    assert {row["error_class"] for row in run.requests()} == {"truncated"}
    assert [step["state"] for step in run.steps()] == ["interrupted", "planned"]
    assert "was answered" in run.status()["message"]
    assert run.status()["exit_code"] == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"payload": Path("nowhere.jsonl")}, "nowhere.jsonl"),
        ({"region": "no such region"}, "region"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    truth: Callable[..., Run], changes: dict[str, Any], words: str
) -> None:
    run = truth(**changes)
    assert run.play() == 2
    assert words in run.log()
    assert "Traceback" not in run.log()


def test_the_web_page_shows_the_llms_own_figures(truth: Callable[..., Run], free_port: int) -> None:
    run = truth(load={"measure": 60.0})
    process = run.start(web_port=free_port)
    address = f"http://127.0.0.1:{free_port}"

    def rows() -> list[dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{address}/stats/requests", timeout=5) as answer:  # noqa: S310 - loopback
                content = json.load(answer)
        except OSError:
            return []
        data: list[dict[str, Any]] = content["extended_stats"][0]["data"]
        return data

    assert eventually(lambda: bool(rows()) and rows()[0]["ttft_p50_ms"] is not None), run.log()
    with urllib.request.urlopen(address, timeout=5) as answer:
        page = answer.read().decode()
    assert '"LLM"' in page or "&#34;LLM&#34;" in page
    assert run.environment["AWS_SECRET_ACCESS_KEY"] not in page
    assert "experiment.json" not in page
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130, run.log()
    run.check_counts()


def test_resetting_locusts_statistics_harms_no_step(truth: Callable[..., Run], free_port: int) -> None:
    run = truth(load={"warm_up": 0.2, "measure": 4.0})
    process = run.start(web_port=free_port)
    address = f"http://127.0.0.1:{free_port}"

    def post(path: str, **headers: str) -> int:
        request = urllib.request.Request(f"{address}{path}", b"", headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
                status: int = answer.status
        except urllib.error.HTTPError as error:
            return error.code
        return status

    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    assert eventually(lambda: run.status()["ok"] > 0), run.log()
    assert post("/stop", Origin="http://evil.example") == 403
    assert post("/stats/reset") == 200
    assert eventually(lambda: run.status().get("phase") == "done"), run.log()
    with urllib.request.urlopen(f"{address}/stats/requests", timeout=5) as answer:  # noqa: S310 - loopback
        assert "has ended" in json.load(answer)["llm_ended"]
    process.send_signal(signal.SIGINT)
    process.wait(30)
    step = run.steps()[0]
    assert (step["state"], step["reason_codes"]) == ("complete", ""), step["reasons"]
    assert int(step["locust_requests"]) == len(run.requests())
