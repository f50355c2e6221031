"""docs/iam.md against the calls that each command really makes: none missing, none too many."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from configs.plan import Plan
from deploy.aws.clients import Clients
from deploy.aws.cloudwatch import MetricSource, collect_metrics
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.fleet import create_fleet
from deploy.lifecycle.inventory import inventory
from deploy.lifecycle.ledger import Ledger
from deploy.lifecycle.teardown import teardown
from deploy.preflight.preflight import preflight
from deploy.spec.fleet_spec import TEMPLATE
from deploy.spec.owner import machine_owner
from deploy.spec.resolve import endpoint_specs
from tests.deploy.harness import QUICK, Account, fleet_spec, fresh_clients, plan

DOCUMENT = Path(__file__).parents[2] / "docs" / "iam.md"
SERVICES = {"service-quotas": "servicequotas"}
FREE = {"sts:GetCallerIdentity"}
INVOKE = {"sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"}
UNSEEN = {"sagemaker:AddTags", "iam:PassRole", "sagemaker:CallWithBearerToken"} | INVOKE
"""Actions that no call seen here bears the name of: part of another call, or of the load."""
ALL_STACKS = {"cloudformation:ListStacks"}
"""DescribeStacks needs it where no stack is named."""


def policies() -> dict[str, set[str]]:
    """Allowed actions by heading."""
    found: dict[str, set[str]] = {}
    for heading, body in re.findall(
        r"^#+ (.+?)\n(.*?)(?=^#|\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    ):
        for block in re.findall(r"```json\n(.*?)```", body, re.DOTALL):
            for statement in json.loads(block)["Statement"]:
                actions = statement["Action"]
                found.setdefault(heading, set()).update([actions] if isinstance(actions, str) else actions)
    return found


POLICIES = policies()
PLAN = POLICIES["`make plan`"]
BENCH = (
    PLAN
    | POLICIES["`make bench INSTANCE=…`"]
    | POLICIES["With `model.hub_token_secret`"]
    | POLICIES["With `endpoint.scheduler_role`"]
)


def actions(calls: list[tuple[str, str]]) -> set[str]:
    return {f"{SERVICES.get(service, service)}:{operation}" for service, operation in calls} - FREE


def full_plan() -> Plan:
    model = {"name": "J", "source": "jumpstart", "id": "meta-textgeneration-llama-2-7b", "version": "3.*"}
    return plan(
        model=model | {"accept_eula": True, "hub_token_secret": "hub-token"},
        endpoint={
            "instance_type": ["ml.g5.xlarge", "ml.p4d.24xlarge"],  # with and without an applied quota
            "role": "local-sagemaker",
            "scheduler_role": "local-scheduler",
            "components": [{"name": "main", "accelerators": 1}],
        },
    )


def test_plan_stays_within_its_policy(account: Account, ledger: Ledger) -> None:
    before = len(account.calls())
    preflight(full_plan(), fresh_clients, ledger)
    assert actions(account.calls(before)) == PLAN


@pytest.fixture(autouse=True)
def hub_token(account: Account) -> None:
    account.secrets({"hub-token": "a-token"})


def test_bench_stays_within_its_policy(account: Account, ledger: Ledger, tmp_path: Path) -> None:
    before = len(account.calls())
    clients = fresh_clients()
    chosen = full_plan()
    preflight(chosen, lambda: clients, ledger)
    spec = endpoint_specs(chosen, "iam", clients)[0]
    account.faults([{"call": "CreateModel", "fault": "drop_connection", "when": "after"}])
    with deployed(spec, clients, ledger, polling=QUICK) as deployment:
        served = MetricSource(spec.name, component=deployment.component)
    collect_metrics(tmp_path, "e", served, clients, started_at=0.0, ended_at=60.0)
    used = actions(account.calls(before))
    assert used <= BENCH
    assert BENCH - used == UNSEEN - {"sagemaker:CallWithBearerToken"}


def test_an_endpoint_of_others_is_only_looked_at(
    account: Account, clients: Clients, ledger: Ledger, tmp_path: Path
) -> None:
    theirs = endpoint_specs(plan(name="theirs"), "others", clients)[0]
    with deployed(theirs, clients, ledger, polling=QUICK):
        before = len(account.calls())
        mine = fresh_clients()
        chosen = plan(endpoint={"name": theirs.name, "instance_type": "ml.g5.xlarge"})
        preflight(chosen, lambda: mine, ledger)
        with deployed(endpoint_specs(chosen, "mine", mine)[0], mine, ledger) as deployment:
            collect_metrics(
                tmp_path, "e", MetricSource(deployment.endpoint_name), mine, started_at=0.0, ended_at=60.0
            )
        used = actions(account.calls(before))
    policy = POLICIES["`make bench ENDPOINT=name`"]
    assert used <= policy
    assert policy - used <= INVOKE | {"pricing:GetProducts"}


def test_endpoints_and_teardown_stay_within_their_policies(
    account: Account, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.commands.deploy import show_inventory  # noqa: PLC0415 - bench stands above deploy

    clients = fresh_clients()
    with deployed(endpoint_specs(full_plan(), "iam", clients)[0], clients, ledger, polling=QUICK):
        before = len(account.calls())
        show_inventory(
            inventory(fresh_clients(), Ledger(ledger.folder / "none"), "somebody@else"), fresh_clients()
        )
        assert actions(account.calls(before)) | {"pricing:GetProducts"} == (
            POLICIES["`make endpoints`"] - ALL_STACKS
        )
        create_fleet(fleet_spec(), "token", TEMPLATE.read_text(), fresh_clients(), ledger, polling=QUICK)
        before = len(account.calls())
        mine = fresh_clients()
        left = teardown(
            inventory(mine, ledger, machine_owner()),
            mine,
            ledger,
            confirm=lambda _asked: False,
            polling=QUICK,
        )
        assert left == []
        assert actions(account.calls(before)) == POLICIES["`make teardown`"] - ALL_STACKS
    assert account.left() == []


def test_cloudformation_may_do_what_the_resources_of_the_fleet_need() -> None:
    """By AWS's own schemas of the resources, which cfn-lint has."""
    schemas = Path(find_spec("cfnlint").origin).parent / "data" / "schemas"  # type: ignore[union-attr,arg-type]
    files = json.loads((schemas / "providers" / "us-east-1.json").read_text())
    needed = {"ssm:GetParameters"}  # of the parameter MachineImage
    _, _, of_template = TEMPLATE.read_text().partition("\nResources:")
    for kind in set(re.findall(r"^    Type: (AWS::\S+)$", of_template, re.MULTILINE)):
        handlers = json.loads((schemas / "resources" / f"{files[kind]}.json").read_text())["handlers"]
        for step in ("create", "read", "delete"):
            needed |= set(handlers[step]["permissions"])
    assert POLICIES["What CloudFormation does for `make fleet`"] == needed
