"""Make's command line is checked before anything starts, and its values reach the program unchanged."""

import shlex
import subprocess

import pytest

from tests.bench.harness import ROOT


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """A dry run: make's own checks happen in it, too."""
    return subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "ENDPIONT=mine"], "ENDPIONT is not a variable of `make bench`; did you mean ENDPOINT?"),
        (["bench", "endpoint=mine"], "did you mean ENDPOINT?"),
        (["ENDPIONT=mine", "bench"], "did you mean ENDPOINT?"),
        (["plan", "PLANS=x"], "did you mean PLAN?"),
        (["bench", "PORT=1"], "PORT is not a variable of `make bench`"),
        (["teardown", "REGOIN=us-east-1"], "did you mean REGION?"),
        (["bench", "ENDPOINT="], "ENDPOINT= is empty"),
        (["compare", "A=", "B=results/b"], "A= is empty"),
        (["compare", "A=results/a", "B=  "], "B= is empty"),
        (["bench", "ENDPOINT", "mine"], "'ENDPOINT' is not a command"),
        (["bench", "INSTANCE=ml.g5.xlarge,", "ml.g6.xlarge"], "'ml.g6.xlarge' is not a command"),
        (["bnech"], "'bnech' is not a command; did you mean bench?"),
        (["bench", "INSTANCE=ml.g5.xlarge", "INSTANCE=ml.g6.xlarge"], "INSTANCE is given twice"),
        (["bench", "INSTANCE=ml.g5.xlarge\nml.g6.xlarge"], "INSTANCE contains a line break"),
        (["teardown", "ALL=please"], "ALL=please is neither yes nor no"),
    ],
)
def test_a_typing_error_starts_nothing(arguments: list[str], message: str) -> None:
    done = make(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "llm-bench" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["bench", "PLAN=it's my $HOME.yml"], ["run", "--plan", "it's my $HOME.yml"]),
        (["bench", 'RESULTS=a "b" `c` $(d) \\'], ["run", "--results", 'a "b" `c` $(d) \\']),
        (["bench", "ENDPOINT=-x"], ["run", "--endpoint", "-x"]),
        (["compare", "A=it's", "B=b;c"], ["compare", "it's", "b;c"]),
        (["compare", "A=a"], ["compare", "a"]),
        (["teardown", "ALL=0"], ["teardown"]),
        (["teardown", "ALL=1"], ["teardown", "--all"]),
        (["report", "RUN=a b", "PRICE=1.41", "AIPERF=1"], ["report", "a b", "--price", "1.41", "--aiperf"]),
        (["trace", "FILE=a b.csv", "SPEED=2"], ["trace", "a b.csv", "--speed", "2"]),
        (["worker", "MASTER=host", "RECONNECT=600"], ["worker", "--master", "host", "--reconnect", "600"]),
        (["collect", "RUN=a b", "SPOOL=c"], ["collect", "a b", "--spool", "c"]),
        (["mlflow", "URI=http://h:5000", "REPLACE=1"], ["mlflow", "--uri", "http://h:5000", "--replace"]),
        (["fleet", "SUBNETS=a,b", "HOSTS=3"], ["fleet", "up", "--subnets", "a,b", "--hosts", "3"]),
        (["fleet", "DOWN=1", "REGION=r"], ["fleet", "down", "--region", "r"]),
    ],
)
def test_values_arrive_as_they_were_typed(arguments: list[str], expected: list[str]) -> None:
    commands = [
        line for line in make(*arguments).stdout.splitlines() if line.startswith(".venv/bin/llm-bench")
    ]
    assert [shlex.split(command)[1:] for command in commands] == [expected]
