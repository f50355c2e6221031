"""A mistake is reported in one sentence, with exit code 2, before anything is started."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.checks import check_results
from bench.cli import main
from common.errors import UserError
from common.paths import HOME_VARIABLE
from tests.bench.harness import SIMULATED, Bench


@pytest.fixture
def refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run the command line in this process; it ends with one sentence, code 2 and no run folder."""
    monkeypatch.setenv(HOME_VARIABLE, str(bench.home))

    def call(*arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["llm-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        assert (end.value.code, printed.out) == (2, "")
        assert printed.err.startswith("error: ")
        assert len(printed.err.strip().splitlines()) == 1, printed.err
        assert not list(bench.results.glob("*-*"))
        return printed.err

    return call


def change(**parts: dict[str, Any]) -> dict[str, Any]:
    return SIMULATED | {key: SIMULATED.get(key, {}) | value for key, value in parts.items()}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (change(load={"concurency": 3}), "load.concurency is not a key of a plan; did you mean concurrency?"),
        (change(endpoint={"instance_type": "ml.g5.xlurge"}), "did you mean ml.g5.xlarge?"),
        (change(workload={"payload": "en_7-8"}), "no payload 'en_7-8'; name a file"),
        (
            change(workload={"payload": ["en_50-100", "payload_en_50-100.jsonl"]}),
            "ml.g5.xlarge/en_50-100 is in the plan 2 times",
        ),
        (change(model=SIMULATED["model"] | {"tokenizer": __file__}), "is not a tokenizer.json"),
        ("name: [", "is not YAML"),
        (change(price={"usd_per_hour": {"ml.g5.xlurge": 1.0}}), "price.usd_per_hour: 'ml.g5.xlurge' is not"),
        (
            SIMULATED | {"workload": {"mix": [{"payload": "en_50-100"}]}},
            "workload.mix: write 2 or more values",
        ),
        (change(workload={"sticky": True, "conversation": {"turns": 2}}), "the vllm container opens no"),
    ],
    ids=[
        "wrong key",
        "unknown instance",
        "missing payload",
        "a payload twice",
        "no tokenizer",
        "no YAML",
        "price of an unknown type",
        "a mix of one",
        "sessions that the container does not open",
    ],
)
def test_a_wrong_plan(
    bench: Bench, refused: Callable[..., str], plan: dict[str, Any] | str, message: str
) -> None:
    for command in ("plan", "run"):
        assert message in refused(command, "--plan", bench.plan(plan), "--results", bench.results)
    assert not bench.results.exists() or not list(bench.results.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--processes", "0"], "PROCESSES (--processes): write a whole number of at least 1, not '0'"),
        (
            ["run", "--processes", "two"],
            "PROCESSES (--processes): write a whole number of at least 1, not 'two'",
        ),
        (["ui", "--port", "99999"], "PORT (--port): write a whole number from 1 to 65535, not '99999'"),
        (["run", "--bind", "192.0.2.1"], "give the page's port (METRICS= of make, --metrics of llm-bench)"),
        (["run", "--endpoint", ""], "ENDPOINT (--endpoint): is empty"),
        (["run", "--results", " "], "RESULTS (--results): is empty"),
        (["run", "--instance", "ml.g5.xlarge\nml.g6.xlarge"], "INSTANCE (--instance): contains a line break"),
        (
            ["run", "--instance", "ml.g5.xlarge ml.g6.xlarge"],
            "separate several types with commas (INSTANCE= of make",
        ),
        (["run", "--instance", "ml.g5.xlarge,"], "an instance type is missing before or after a comma"),
        (["run", "--endpiont", "mine"], "no such option"),
        (["rnu"], "there is no command 'rnu'; did you mean run?"),
        (["run", "mine"], "unexpected extra argument"),
        (
            ["worker", "--master", "host:5557"],
            "give the host alone, and its port separately (MASTER= of make",
        ),
        (["worker", "--master", "tcp://host"], "give the host alone"),
        (["worker"], "MASTER (--master) is missing"),
        (
            ["master", "--bind", "203.0.113.7", "--endpoint", "mine"],
            "this machine cannot listen on 203.0.113.7",
        ),
        (["compare"], "two sides are needed"),
        (["compare", "results/a"], "two sides are needed"),
        (["compare", "", "results/b"], "the name of a run folder is missing in ''"),
        (["compare", "results/a,", "results/b"], "the name of a run folder is missing in 'results/a,'"),
        (["collect", "docs"], "docs holds no manifest.json, so it is not a run folder"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_code_2(
    arguments: list[str], message: str, refused: Callable[..., str]
) -> None:
    assert message in refused(*arguments)


def test_without_a_command_the_help_is_shown_in_full_sentences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["llm-bench"])
    with pytest.raises(SystemExit, match="2"):
        main()
    printed = capsys.readouterr()
    shown = printed.out + printed.err
    assert "error:" not in shown
    assert "calibrate " in shown
    assert "..." not in shown.partition("Commands:")[2], "a command's help is cut off"


def test_a_plan_that_is_not_there(bench: Bench) -> None:
    done = bench.run("run", "--plan", bench.folder / "none.yml")
    assert (done.returncode, "no such plan" in done.stderr) == (2, True)


def test_a_results_folder_that_cannot_be_written(bench: Bench, refused: Callable[..., str]) -> None:
    (bench.folder / "file").touch()
    error = refused("run", "--plan", bench.plan(SIMULATED), "--results", bench.folder / "file" / "results")
    assert "RESULTS=" in error


def test_a_taken_port(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = bench.run("ui", "--plan", bench.plan(SIMULATED), "--results", bench.results, "--port", port)
    assert done.returncode == 2
    assert f"port {port} cannot be used" in done.stderr
    assert not list(bench.results.glob("*-*"))


def test_no_credentials_names_both_ways_on(bench: Bench, tmp_path: Path) -> None:
    done = bench.run(
        "run",
        "--instance",
        "ml.g5.xlarge",
        "--results",
        bench.results,
        environment={
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_REGION": "us-east-1",
        },
    )
    assert done.returncode == 2
    assert "credentials" in done.stderr
    assert "make rehearse" in done.stderr
    assert not list(bench.results.glob("*-*"))


def test_a_folder_where_the_link_to_the_newest_run_belongs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(UserError, match="latest is not a link"):
        check_results(tmp_path)
    (tmp_path / "latest").rmdir()
    (tmp_path / "latest").symlink_to("gone")
    check_results(tmp_path)
