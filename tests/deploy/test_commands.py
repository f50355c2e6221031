"""The commands as a user runs them: plan, endpoints, teardown; and what they say without credentials."""

import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import main
from bench.commands.deploy import confirmed
from deploy.aws.clients import Clients
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Ledger
from deploy.spec.resolve import endpoint_specs
from tests.deploy.command_line import bench
from tests.deploy.harness import IMAGE, QUICK, Account, plan

ROOT = Path(__file__).parents[2]
PLAN = f"""
name: commanded
model: {{name: Llama-7b, source: image, image: "{IMAGE}", context_length: 4096}}
endpoint: {{instance_type: ml.g5.xlarge}}
workload: {{payload: prompts.jsonl, parameters: {{max_tokens: 50}}}}
load: {{concurrency: [1, 2], warm_up: 5s, measure: 60s}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plan.yml").write_text(PLAN)
    (tmp_path / "prompts.jsonl").write_text('{"payload_id": "1", "prompt": "Hello", "prompt_tokens": 2}\n')
    return tmp_path


@pytest.fixture
def silent_metadata_service() -> Iterator[str]:
    """A metadata service that takes connections and never answers: the slowest way to have no credentials."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def hold() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=hold)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in held:
        connection.close()


@pytest.mark.e2e
@pytest.mark.parametrize("command", ["run", "endpoints", "teardown"])
def test_without_credentials_one_sentence_has_both_ways_on(
    command: str, folder: Path, silent_metadata_service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    arguments = ["--plan", "plan.yml"] if command == "run" else []
    environment = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": silent_metadata_service,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench", command, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "aws configure" in done.stderr
    assert "make rehearse" in done.stderr
    assert list((folder / "results").glob("*")) == []


def test_a_plan_that_fits_is_ready(account: Account, folder: Path) -> None:
    done = bench("plan", "--plan", "plan.yml")
    assert done.returncode == 0, done.stdout
    for line in (
        "credentials",
        "execution role",
        "quota ml.g5.xlarge",
        "price ml.g5.xlarge",
        "context",
        "budget",
        "cost:",
    ):
        assert line in done.stdout
    assert "stop" not in done.stdout
    assert account.left() == []


@pytest.mark.parametrize(
    ("change", "stopped"),
    [
        ("budget: {max_spend_usd: 0.01}\n", "budget"),
        ("endpoint: {instance_type: ml.g5.xlarge, instance_count: 500}\n", "quota ml.g5.xlarge"),
        ("endpoint: {instance_type: ml.g5.xlarge, role: nobody}\n", "execution role"),
        ("endpoint: {name: nowhere}\n", "endpoint"),
    ],
    ids=["budget", "quota", "role", "endpoint"],
)
def test_a_plan_that_cannot_work_is_stopped(
    change: str, stopped: str, account: Account, folder: Path
) -> None:
    section = change.partition(":")[0]
    kept = [line for line in PLAN.splitlines() if not line.startswith(section)]
    (folder / "plan.yml").write_text("\n".join([*kept, change]))
    done = bench("plan", "--plan", "plan.yml")
    assert done.returncode == 2, done.stdout
    assert f"not ready: {stopped}" in done.stdout


def test_an_image_that_is_not_in_its_registry_is_found_before_anything_is_created(
    account: Account, folder: Path
) -> None:
    account.images({IMAGE: False})
    done = bench("plan", "--plan", "plan.yml")
    account.images({IMAGE: True})
    assert done.returncode == 2, done.stdout
    assert "not ready: image in ECR" in done.stdout
    assert "latest is not in repository simulated" in done.stdout


def test_a_registry_that_may_not_be_asked_is_a_warning(account: Account, folder: Path) -> None:
    account.faults([{"call": "BatchGetImage", "fault": "access_denied", "nth": 0}])
    done = bench("plan", "--plan", "plan.yml")
    account.faults([])
    assert done.returncode == 0, done.stdout
    assert "ecr:BatchGetImage" in done.stdout


def test_an_endpoint_that_exists_is_priced_as_what_it_is(
    account: Account, clients: Clients, folder: Path
) -> None:
    theirs = plan(name="theirs", endpoint={"instance_type": "ml.g5.12xlarge", "instance_count": 2})
    with deployed(
        endpoint_specs(theirs, "commanded", clients)[0], clients, Ledger(), polling=QUICK
    ) as deployment:
        done = bench("plan", "--plan", "plan.yml", "--endpoint", deployment.endpoint_name)
    assert done.returncode == 0, done.stdout
    assert "in service on 2 × ml.g5.12xlarge" in " ".join(done.stdout.split())
    assert "price ml.g5.12xlarge" in done.stdout
    assert "price ml.g5.xlarge" not in done.stdout


def test_endpoints_lists_and_teardown_deletes(account: Account, clients: Clients, folder: Path) -> None:
    nothing = bench("endpoints")
    assert (nothing.returncode, "nothing created by this suite" in nothing.stdout) == (0, True)
    with deployed(
        endpoint_specs(plan(), "commanded", clients)[0], clients, Ledger(), polling=QUICK
    ) as deployment:
        listed = bench("endpoints")
        assert deployment.endpoint_name[:20] in listed.stdout
        assert "InService" in listed.stdout
        assert "$" in listed.stdout
        done = bench("teardown")
        assert (done.returncode, account.left()) == (0, [])
    assert bench("teardown").returncode == 0


def test_endpoints_lists_without_a_price_what_may_not_be_described(
    account: Account, clients: Clients, folder: Path
) -> None:
    with deployed(
        endpoint_specs(plan(), "commanded", clients)[0], clients, Ledger(folder / "lost"), polling=QUICK
    ):
        account.faults([{"call": "DescribeEndpoint", "fault": "access_denied", "nth": 0}])
        listed = bench("endpoints")
        account.faults([])
    assert listed.returncode == 0
    assert "no price" in listed.stdout


def test_teardown_asks_and_takes_silence_for_no(account: Account, clients: Clients, folder: Path) -> None:
    theirs = endpoint_specs(plan(), "commanded", clients, owner="ann@elsewhere")[0]
    with deployed(theirs, clients, Ledger(folder / "elsewhere"), polling=QUICK):
        done = bench("teardown")
        assert "ann@elsewhere" in done.stdout
        assert f"endpoints/{theirs.name}" in account.left()


def test_teardown_without_a_terminal_deletes_what_is_its_own(
    account: Account, clients: Clients, folder: Path
) -> None:
    theirs = endpoint_specs(plan(), "theirs", clients, owner="ann@elsewhere")[0]
    with deployed(theirs, clients, Ledger(folder / "elsewhere"), polling=QUICK):
        mine = endpoint_specs(plan(), "mine", clients)[0]
        with deployed(mine, clients, Ledger(), polling=QUICK):
            done = bench("teardown")
            left = account.left()
        assert done.returncode == 0
        assert f"endpoints/{mine.name}" not in left
        assert f"endpoints/{theirs.name}" in left
        assert "ALL=1" in done.stdout


@pytest.mark.parametrize(("typed", "yes"), [("y\n", True), ("n\n", False), ("\n", False), ("", False)])
def test_only_a_typed_yes_is_one(typed: str, yes: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a table's column
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert confirmed("ann@elsewhere created endpoint bench.") is yes


def test_an_output_that_is_gone_does_not_stop_a_deletion(
    account: Account, clients: Clients, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unread, output = os.pipe()
    os.close(unread)
    with deployed(endpoint_specs(plan(), "commanded", clients)[0], clients, Ledger(), polling=QUICK):
        with monkeypatch.context() as patch, os.fdopen(output, "w") as broken:
            patch.setattr("sys.stdout", broken)
            patch.setattr("sys.argv", ["llm-bench", "teardown"])
            with pytest.raises(SystemExit) as ended:
                main()
            assert ended.value.code == 0
        assert account.left() == []


def test_what_teardown_cannot_delete_is_the_exit_code(
    account: Account, clients: Clients, folder: Path
) -> None:
    with deployed(
        endpoint_specs(plan(), "commanded", clients)[0], clients, Ledger(), polling=QUICK
    ) as deployment:
        account.faults([{"call": "DeleteEndpoint", "fault": "access_denied", "nth": 0}])
        done = bench("teardown")
        account.faults([])
    assert done.returncode == 1
    assert f"aws sagemaker delete-endpoint --endpoint-name {deployment.endpoint_name}" in done.error
