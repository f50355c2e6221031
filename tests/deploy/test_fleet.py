"""A fleet of worker hosts: one command up, with everything checked first, and one command down."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bench.commands.deploy import show_inventory
from common.errors import StartedError
from common.parent_process import TOKEN_VARIABLE
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.resources import KINDS
from deploy.lifecycle.fleet import create_fleet
from deploy.lifecycle.inventory import FLEET_KINDS, inventory
from deploy.lifecycle.ledger import Ledger
from deploy.lifecycle.progress import Progress
from deploy.lifecycle.removal import LeftBehindError, remove
from deploy.lifecycle.signals import Interrupted, orderly_exit
from deploy.lifecycle.teardown import teardown
from deploy.spec import api_requests
from deploy.spec.endpoint_spec import EndpointSpec
from deploy.spec.fleet_spec import TEMPLATE
from deploy.spec.owner import machine_owner
from deploy.spec.resolve import endpoint_specs
from tests.deploy.command_line import bench
from tests.deploy.harness import IMPATIENT_DELETION, QUICK, Account, fleet_spec, plan
from tests.deploy.test_iam import ALL_STACKS, POLICIES, actions

UNCALLED = {
    "secretsmanager:TagResource",  # of CreateSecret with tags
    "cloudformation:DescribeStackEvents",
    "cloudformation:DeleteStack",
    "secretsmanager:DescribeSecret",
    "secretsmanager:DeleteSecret",
}
TOKEN = "planted-token-of-the-run"
SPEC = fleet_spec()
IMAGE, SUBNETS, NOW = SPEC.options.image, SPEC.options.subnets, SPEC.created_at


@pytest.fixture
def endpoint(account: Account, clients: Clients) -> Iterator[EndpointSpec]:
    """An endpoint that exists, without a container."""
    spec = endpoint_specs(plan(), "loaded", clients)[0]
    resources.create(clients, KINDS["model"], api_requests.create_model(spec, spec.models[0], None))
    resources.create(clients, KINDS["endpoint-config"], api_requests.create_endpoint_config(spec))
    account.faults([{"call": "CreateEndpoint", "fault": "stuck_creating"}])
    resources.create(clients, KINDS["endpoint"], api_requests.create_endpoint(spec))
    account.faults([])
    yield spec
    account.post("/_local/release", {"endpoint": spec.name})


def up(existing: EndpointSpec, /, **changes: str) -> Any:
    chosen = {"endpoint": existing.name, "master": "10.0.0.5", "image": IMAGE, "subnets": ",".join(SUBNETS)}
    return bench("fleet", "up", *(f"--{name}={value}" for name, value in (chosen | changes).items()))


def of_fleet(account: Account) -> list[str]:
    return [entry for entry in account.left() if entry.startswith(("stacks/", "secrets/"))]


def create(clients: Clients, ledger: Ledger, **options: Any) -> Any:
    template = TEMPLATE.read_text()
    return create_fleet(SPEC, TOKEN, template, clients, ledger, **{"polling": QUICK, **options})


def test_one_command_brings_a_fleet_up_and_one_takes_it_down(
    account: Account, endpoint: EndpointSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    before = len(account.state()["calls"])
    done = up(endpoint)
    assert done.returncode == 0, done.error
    stack, secret = sorted(of_fleet(account), reverse=True)
    assert secret.removeprefix("secrets/") == f"{stack.removeprefix('stacks/')}-token"
    assert "2 × c7i.xlarge at $0.1785 per hour" in done.stdout
    assert "at most $1.43 in 240 minutes" in done.stdout
    assert f"ENDPOINT={endpoint.name} WORKERS=8 BIND=10.0.0.5 PORT=5557" in done.stdout
    assert actions(account.calls(before)) == POLICIES["`make fleet`"] - ALL_STACKS - UNCALLED
    holders = [c["operation"] for c in account.state()["calls"][before:] if TOKEN in str(c["members"])]
    assert holders == ["CreateSecret"]
    assert TOKEN not in done.stdout
    assert not any(TOKEN in path.read_text() for path in Ledger().folder.iterdir())
    listed = bench("endpoints")
    assert "CREATE_COMPLETE" in listed.stdout
    assert "$0.00" in listed.stdout
    before = len(account.calls())
    assert bench("fleet", "down").returncode == 0
    assert actions(account.calls(before)) == POLICIES["`make fleet DOWN=1`"] - ALL_STACKS
    assert (of_fleet(account), Ledger().open_items()) == ([], [])
    assert f"endpoints/{endpoint.name}" in account.left(), "not the fleet's"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"endpoint": "none"}, "there is no endpoint none in us-east-1"),
        ({"master": "host.internal"}, "'host.internal' is not an IPv4 address"),
        ({"master": "10.0.0.6"}, "no host in vpc-0aaaaaaaaaaaaaaaa has the address 10.0.0.6"),
        ({"subnets": SUBNETS[0]}, "does not name two subnets"),
        ({"subnets": f"{SUBNETS[0]},subnet-b"}, "The subnet ID 'subnet-b' does not exist"),
        ({"image": IMAGE.replace("us-east-1", "eu-west-1")}, "not in this account's registry in us-east-1"),
        ({"image": f"{IMAGE}-gone"}, "0.2.0-gone is not in repository llm-bench-worker"),
        ({"instance": "c5.xlarge"}, "EC2 has no instance type c5.xlarge in us-east-1"),
        ({"price": "nan"}, "nan is not a price"),
        ({"instance": "c7g.xlarge"}, "the price of c7g.xlarge in us-east-1 is not known"),
        ({}, "has no VPC endpoint for ecr.api and s3"),
    ],
    ids=lambda value: next(iter(value), "network") if isinstance(value, dict) else "",
)
def test_what_would_make_the_hosts_fail_is_said_before_anything_costs(
    changes: dict[str, str], said: str, account: Account, endpoint: EndpointSpec
) -> None:
    account.images({f"{IMAGE}-gone": False})
    account.vpc_endpoints(dict.fromkeys(("ecr.api", "s3"), bool(changes)))
    before = len(account.calls())
    done = up(endpoint, **changes)
    account.vpc_endpoints(dict.fromkeys(("ecr.api", "s3"), True))
    assert (done.returncode, said in done.error) == (2, True), done.error
    assert {operation for _, operation in account.calls(before) if operation.startswith("Create")} == set()


def test_a_price_of_ones_own_needs_no_price_list(account: Account, endpoint: EndpointSpec) -> None:
    done = up(endpoint, instance="c7g.xlarge", price="0.145", hosts="3", minutes="60")
    assert (
        "3 × c7g.xlarge at $0.145 per hour (given on the command line): at most $0.435 in 60 minutes"
        in done.stdout
    )
    (stack,) = Clients.from_environment("us-east-1").client("cloudformation").describe_stacks()["Stacks"]
    given = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}
    assert given["MachineImage"].endswith("-arm64")
    assert (given["UsdPerHour"], given["HostCount"], given["WorkersPerHost"]) == ("0.145", "3", "4")
    assert (given["StatePort"], given["MasterSecurityGroup"]) == ("5558", "sg-0aaaaaaaaaaaaaaa5")


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("We currently do not have sufficient c7i.xlarge capacity in these zones", "another instance type"),
        ("You have requested more vCPU capacity than your current vCPU limit of 5 allows", "Service Quotas"),
    ],
    ids=["capacity", "limit"],
)
def test_a_failed_creation_says_what_failed_first_and_leaves_nothing(
    reason: str, remedy: str, account: Account, clients: Clients, ledger: Ledger
) -> None:
    account.faults([{"call": "CreateStack", "fault": "failed", "message": f"{reason}."}])
    with pytest.raises(StartedError) as failed:
        create(clients, ledger)
    assert failed.value.finding.endswith(f"could not be created: Fleet (AWS::EC2::EC2Fleet): {reason}")
    assert remedy in failed.value.remedy
    assert (account.left(), ledger.open_items()) == ([], [])


@pytest.mark.parametrize(
    ("fault", "served"),
    [
        ({"call": "CreateSecret", "fault": "access_denied", "nth": 0}, False),
        ({"call": "CreateStack", "fault": "access_denied", "nth": 0}, False),
        ({"call": "CreateSecret", "fault": "drop_connection", "when": "after"}, True),
        ({"call": "CreateStack", "fault": "drop_connection", "when": "after"}, True),
        ({"call": "DescribeStacks", "fault": "access_denied"}, False),
    ],
    ids=lambda value: f"{value['call']}-{value['fault']}" if isinstance(value, dict) else "",
)
def test_a_fault_leaves_a_whole_fleet_or_none(
    fault: dict[str, Any],
    served: bool,  # noqa: FBT001 - a table's column
    account: Account,
    clients: Clients,
    ledger: Ledger,
) -> None:
    account.faults([fault])
    if served:
        create(clients, ledger)
    else:
        with pytest.raises(StartedError, match=r"docs/iam\.md"):
            create(clients, ledger)
    assert len(account.left()) == len(ledger.open_items()) == (2 if served else 0)


def test_teardown_deletes_what_a_killed_creation_has_left(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    create(clients, ledger)
    killed = Ledger(ledger.folder / "killed")
    for item in ledger.open_items():
        killed.will_create(replace(item, state="creating", arn=None))
    killed.will_create(replace(ledger.open_items()[0], name="never-created", state="creating", arn=None))
    left = remove(killed.open_items(), clients, killed, polling=QUICK)
    assert (left, account.left(), killed.open_items()) == ([], [], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_creation_deletes_it(
    number: int, account: Account, clients: Clients, ledger: Ledger
) -> None:
    def interrupt(progress: Progress) -> None:
        if not progress.is_deletion:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted) as stop, orderly_exit():
        create(clients, ledger, on_progress=interrupt)
    assert stop.value.exit_code == 128 + number
    assert (account.left(), ledger.open_items()) == ([], [])


def test_a_stack_that_aws_could_not_delete_is_deleted_again(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    create(clients, ledger)
    reason = "The following resource(s) failed to delete: [HostSecurityGroup]"
    account.faults([{"call": "DeleteStack", "fault": "failed", "message": f"{reason}."}])
    seen: list[Progress] = []
    left = remove(ledger.open_items(), clients, ledger, polling=QUICK, on_progress=seen.append)
    assert reason in [progress.detail for progress in seen if progress.state == "deletion_refused"]
    assert (left, account.left(), ledger.open_items()) == ([], [], [])


def test_what_cannot_be_deleted_is_named_with_its_command(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    denied = {"fault": "access_denied", "nth": 0}
    account.faults([{"call": call, **denied} for call in ("DescribeStacks", "DeleteStack", "DeleteSecret")])
    with pytest.raises(LeftBehindError, match="billed until it is") as left:
        create(clients, ledger, polling=IMPATIENT_DELETION)
    assert f"aws cloudformation delete-stack --stack-name {SPEC.name} --region us-east-1" in str(left.value)
    secret = f"{SPEC.secret_name} --force-delete-without-recovery --region us-east-1"
    assert f"aws secretsmanager delete-secret --secret-id {secret}" in str(left.value)
    assert len(ledger.open_items()) == 2


def test_a_fleet_is_found_and_priced_by_its_tags_alone(
    account: Account, clients: Clients, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    create(clients, ledger)
    lost = Ledger(ledger.folder / "lost")
    found = inventory(clients, lost, machine_owner(), kinds=FLEET_KINDS)
    assert [(entry.item.kind, entry.known_by, entry.mine) for entry in found] == [
        ("fleet", "tag", True),
        ("secret", "tag", True),
    ]
    assert found[0].item.cost_usd(found[0].item.created_at + 3600) == pytest.approx(2 * 0.1785)
    assert found[0].item.expires_at == NOW + 240 * 60
    show_inventory(found, clients)
    assert teardown(found, clients, lost, confirm=lambda _asked: False, polling=QUICK) == []
    assert account.left() == []


def test_a_fleet_costs_nothing_after_its_hosts_have_terminated_themselves(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    create(clients, ledger)
    (fleet,) = (item for item in ledger.open_items() if item.kind == "fleet")
    assert fleet.cost_usd(NOW + 3600) == pytest.approx(2 * 0.1785)
    assert fleet.cost_usd(NOW + 10 * 86_400) == pytest.approx(SPEC.max_usd) == pytest.approx(1.428)
