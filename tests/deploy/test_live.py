"""A run that still goes on is marked, and asked about before teardown takes what it uses."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.resources import KINDS
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.inventory import inventory
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.teardown import teardown
from deploy.spec.endpoint_spec import EndpointSpec
from deploy.spec.owner import Process, machine_owner, this_host, this_process
from deploy.spec.resolve import endpoint_specs
from deploy.spec.tags import TAG_PROCESS
from tests.deploy.command_line import bench
from tests.deploy.harness import QUICK, Account, items, plan


@dataclass
class Other:
    """Another process of this machine, until it is told to end."""

    child: "subprocess.Popen[bytes]"
    process: Process

    def end(self, *, reap: bool = True) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        if reap:
            self.child.wait()
        else:
            while psutil.Process(self.child.pid).status() != psutil.STATUS_ZOMBIE:
                pass


@pytest.fixture
def other() -> Iterator[Other]:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        started_at = psutil.Process(child.pid).create_time()
        yield Other(child, Process(this_host(), child.pid, started_at))


def run_of(clients: Clients, monkeypatch: pytest.MonkeyPatch, process: Process, run_id: str) -> EndpointSpec:
    """The spec of a run that ``process`` plays."""
    monkeypatch.setattr("deploy.spec.resolve.this_process", lambda: process)
    return endpoint_specs(plan(), run_id, clients)[0]


def test_a_process_goes_on_until_it_ends(other: Other) -> None:
    before = other.process.is_running
    other.end(reap=False)
    unreaped = other.process.is_running  # it has ended, and its parent has not looked yet
    other.end()
    assert (before, unreaped, other.process.is_running) == (True, False, False)


def test_a_process_is_known_by_its_start_and_its_host(other: Other) -> None:
    earlier = dataclasses.replace(other.process, started_at=other.process.started_at - 60)
    assert not earlier.is_running, "its id was given to another process"
    assert not dataclasses.replace(other.process, host="elsewhere").is_running
    assert not this_process().is_running, "whoever asks is no run beside itself"


@pytest.mark.parametrize("text", [None, "", "host", "host:1", "host:x:1.0", "host:1:x"])
def test_what_names_no_process_is_none(text: str | None) -> None:
    assert Process.parse(text) is None


@pytest.mark.parametrize("host", ["host", "fe80::1", "a host"])
def test_a_process_is_read_as_it_was_written(host: str) -> None:
    process = Process(host, 4711, 1_700_000_000.25)
    assert Process.parse(str(process)) == process


def test_a_run_writes_its_process_into_ledger_and_tags(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    with deployed(endpoint_specs(plan(), "mine", clients)[0], clients, ledger, polling=QUICK):
        found = ledger.open_items()
        tagged = {
            resources.tags(clients, KINDS[item.kind], {KINDS[item.kind].arn: item.arn})[TAG_PROCESS]
            for item in found
        }
    assert {item.process for item in found} == tagged == {str(this_process())}


@pytest.mark.parametrize("known_by", ["ledger", "tag"])
def test_what_a_live_run_uses_is_asked_about_until_the_run_has_ended(
    known_by: str,
    other: Other,
    account: Account,
    clients: Clients,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = Ledger()
    theirs = run_of(clients, monkeypatch, other.process, "live")
    mine = run_of(clients, monkeypatch, this_process(), "ended")
    # A tag alone: the ledger of another checkout.
    seen = ledger if known_by == "ledger" else Ledger(Path("another checkout"))
    asked: list[set[str]] = []

    def tear(*, yes: bool) -> None:
        found = inventory(clients, seen, machine_owner())
        asked.append({one.item.kind for one in found if one.live == other.process})
        teardown(found, clients, seen, confirm=lambda _asked: yes, polling=QUICK)

    with deployed(theirs, clients, ledger, polling=QUICK), deployed(mine, clients, ledger, polling=QUICK):
        tear(yes=False)
        left = account.left()
        assert f"endpoints/{theirs.name}" in left
        assert not any(mine.name in entry for entry in left)
        other.end()
        tear(yes=False)
        assert account.left() == []
    assert asked == [{"endpoint", "endpoint-config", "model"}, set()]


def test_a_yes_takes_what_a_live_run_uses(
    other: Other, account: Account, clients: Clients, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deployed(run_of(clients, monkeypatch, other.process, "live"), clients, ledger, polling=QUICK):
        found = inventory(clients, ledger, machine_owner())
        teardown(found, clients, ledger, confirm=lambda _asked: True, polling=QUICK)
        assert account.left() == []


def test_the_commands_mark_a_live_run_and_name_it(
    other: Other, account: Account, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = run_of(clients, monkeypatch, other.process, "live-run")
    with deployed(theirs, clients, Ledger(), polling=QUICK):
        listed = "".join(bench("endpoints").stdout.split())
        assert f"(live,process{other.process.pid})" in listed
        kept = bench("teardown")
        assert f"endpoints/{theirs.name}" in account.left()
        assert kept.returncode == 0
        for said in ("Run live-run", f"process {other.process.pid}", f"endpoint {theirs.name}", "ALL=1"):
            assert said in kept.stdout
        assert bench("teardown", "--all").returncode == 0
        assert account.left() == []


def test_a_line_from_before_processes_were_written_is_read_and_deleted_without_a_question(
    clients: Clients, account: Account, ledger: Ledger
) -> None:
    old = _here(clients, items(1)[0])
    line = {key: value for key, value in dataclasses.asdict(old).items() if key != "process"}
    ledger.folder.mkdir()
    (ledger.folder / "old.jsonl").write_text(json.dumps(line) + "\n")
    [found] = inventory(clients, ledger, machine_owner())
    assert (found.item, found.mine, found.live) == (old, True, None)


def test_a_ledger_shared_with_another_host_does_not_make_its_runs_ours(
    clients: Clients, account: Account, ledger: Ledger
) -> None:
    process = dataclasses.replace(this_process(), host="elsewhere")
    ledger.will_create(dataclasses.replace(_here(clients, items(1)[0]), process=str(process)))
    [found] = inventory(clients, ledger, machine_owner())
    assert (found.mine, found.live) == (False, None)


def _here(clients: Clients, item: Item) -> Item:
    return dataclasses.replace(item, api=clients.api, account=clients.identity.account)
