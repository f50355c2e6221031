"""Bring your own: looked at if one may, used if one may only invoke, never changed, never deleted."""

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from common.errors import UserError
from configs.plan import Plan
from deploy.aws.clients import Clients
from deploy.aws.read_only_endpoint import ALLOWED, EndpointDescriber
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Ledger
from deploy.preflight.preflight import preflight
from deploy.spec.endpoint_spec import EndpointSpec
from deploy.spec.resolve import UNKNOWN_INSTANCE_TYPE, endpoint_specs, with_actual_endpoint
from emulator.process import LocalSageMaker
from tests.deploy.harness import IMAGE, LIGHT, QUICK, Account, fresh_clients, plan


@pytest.fixture(scope="module")
def account(server: LocalSageMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The account for the whole module: nothing here may change what is in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("existing"))
        for name, value in {**server.environment, "SAGEMAKER_ROLE": "local-sagemaker"}.items():
            patch.setenv(name, value)
        yield Account(server.url)


@pytest.fixture(scope="module")
def theirs(account: Account) -> Iterator[EndpointSpec]:
    """An endpoint that somebody else keeps, with two components; at the end it must still be there."""
    clients = fresh_clients()
    parts = [{"name": "one", "accelerators": 1}, {"name": "two", "accelerators": 1}]
    made = plan(name="theirs", endpoint={"instance_type": "ml.g5.4xlarge", "components": parts})
    spec = endpoint_specs(made, "others", clients)[0]
    with deployed(spec, clients, Ledger(), polling=QUICK):
        yield spec
        assert len(account.left()) == 5, "model, configuration, endpoint and two components"


def mine(name: str, **endpoint: object) -> Plan:
    return plan(endpoint={"name": name, "instance_type": "ml.g5.xlarge", **endpoint})


def test_it_is_described_and_survives(
    theirs: EndpointSpec, account: Account, clients: Clients, ledger: Ledger
) -> None:
    before = len(account.calls())
    chosen = mine(theirs.name, components=[{"name": theirs.components[0].name}])
    with deployed(endpoint_specs(chosen, "mine", clients)[0], clients, ledger) as deployment:
        assert deployment.endpoint_name == theirs.name
        assert deployment.component == theirs.components[0].name
        assert deployment.description["endpoint"]["EndpointStatus"] == "InService"
        assert deployment.in_service_at is None
    assert {operation for _, operation in account.calls(before)} <= ALLOWED
    assert f"endpoints/{theirs.name}" in account.left()
    assert ledger.items() == []


def test_it_survives_an_error_too(
    theirs: EndpointSpec, account: Account, clients: Clients, ledger: Ledger
) -> None:
    chosen = mine(theirs.name, components=[{"name": theirs.components[0].name}])
    with pytest.raises(RuntimeError), deployed(endpoint_specs(chosen, "mine", clients)[0], clients, ledger):
        raise RuntimeError("the load crashed")
    assert f"endpoints/{theirs.name}" in account.left()


def test_the_reader_can_do_nothing_but_look(theirs: EndpointSpec, account: Account, clients: Clients) -> None:
    describer = EndpointDescriber(clients)
    client = describer._client
    attempts: dict[str, dict[str, Any]] = {
        "delete_endpoint": {"EndpointName": theirs.name},
        "delete_endpoint_config": {"EndpointConfigName": theirs.name},
        "delete_model": {"ModelName": theirs.models[0].name},
        "delete_inference_component": {"InferenceComponentName": theirs.components[0].name},
        "update_endpoint": {"EndpointName": theirs.name, "EndpointConfigName": theirs.name},
        "add_tags": {"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/x", "Tags": []},
    }
    before = len(account.calls())
    for method, request in attempts.items():
        with pytest.raises(PermissionError, match="did not create"):
            getattr(client, method)(**request)
    assert account.calls(before) == []


def test_it_is_used_when_nothing_may_be_looked_at(
    theirs: EndpointSpec, account: Account, clients: Clients, ledger: Ledger
) -> None:
    account.faults([{"call": "DescribeEndpoint", "fault": "access_denied", "nth": 0}])
    with deployed(endpoint_specs(mine(theirs.name), "mine", clients)[0], clients, ledger) as deployment:
        assert "not authorized" in deployment.description["not_described"]
    account.faults([])


def test_a_missing_endpoint_is_one_sentence(clients: Clients, ledger: Ledger, account: Account) -> None:
    with (
        pytest.raises(UserError, match="there is no endpoint nowhere"),
        deployed(endpoint_specs(mine("nowhere"), "mine", clients)[0], clients, ledger),
    ):
        pass


def test_an_unknown_component_names_those_that_there_are(
    theirs: EndpointSpec, clients: Clients, ledger: Ledger
) -> None:
    chosen = mine(theirs.name, components=[{"name": "three"}])
    with (
        pytest.raises(UserError, match=theirs.components[1].name),
        deployed(endpoint_specs(chosen, "mine", clients)[0], clients, ledger),
    ):
        pass


def test_several_components_need_a_choice(theirs: EndpointSpec, clients: Clients, ledger: Ledger) -> None:
    with (
        pytest.raises(UserError, match="several inference components"),
        deployed(endpoint_specs(mine(theirs.name), "mine", clients)[0], clients, ledger),
    ):
        pass


def test_it_needs_neither_role_nor_image(
    account: Account, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAGEMAKER_ROLE")
    before = len(account.calls())
    spec = endpoint_specs(mine("theirs"), "mine", clients)[0]
    assert spec.existing
    assert dataclasses.asdict(spec)["models"] == ()
    assert account.calls(before) == []


def test_several_variants_are_told_because_one_price_is_not_theirs(
    clients: Clients, account: Account
) -> None:
    kinds = ("ml.g5.2xlarge", "ml.g6.2xlarge")
    made = endpoint_specs(plan(name="split"), "others", clients)[0]
    with deployed(made, clients, Ledger(), polling=QUICK):
        own = clients.sagemaker
        own.create_endpoint_config(
            EndpointConfigName="split",
            ProductionVariants=[
                {
                    "VariantName": kind.replace(".", "-"),
                    "ModelName": made.models[0].name,
                    "InstanceType": kind,
                    "InitialInstanceCount": 1,
                }
                for kind in kinds
            ],
        )
        own.create_endpoint(EndpointName="split", EndpointConfigName="split")
        own.get_waiter("endpoint_in_service").wait(EndpointName="split", WaiterConfig={"Delay": 1})
        standing, notice, _ = with_actual_endpoint(mine("split"), clients)
        own.delete_endpoint(EndpointName="split")
        own.delete_endpoint_config(EndpointConfigName="split")
    assert standing.endpoint.instance_type == (kinds[0],)
    assert notice is not None
    assert "2 variants" in notice
    assert kinds[1] in notice


def test_its_model_and_schema_are_its_own(clients: Clients, account: Account) -> None:
    env = {**LIGHT, "SM_VLLM_MODEL": "theirs/model-7b", "SM_VLLM_MAX_MODEL_LEN": "8192"}
    image = IMAGE.replace("simulated:latest", "simulated-vllm:1")
    made = endpoint_specs(
        plan(name="vllm", model={"name": "x", "source": "image", "image": image, "env": env}), "r", clients
    )
    with deployed(made[0], clients, Ledger(), polling=QUICK) as deployment:
        standing, instances, schema = with_actual_endpoint(mine(deployment.endpoint_name), clients)
    assert (standing.model.name, standing.model.context_length) == ("theirs/model-7b", 8192)
    assert standing.model.image == image
    assert (instances, schema) == (None, None)


def test_what_cannot_be_seen_claims_neither_model_nor_price(clients: Clients, account: Account) -> None:
    account.faults([{"call": "DescribeEndpoint", "fault": "access_denied", "nth": 0}])
    unseen = plan(model={"source": "endpoint"}, endpoint={"name": "private"})
    standing, instances, schema = with_actual_endpoint(unseen, clients)
    account.faults([])
    assert standing.model.name == "private"
    assert standing.endpoint.instance_type == (UNKNOWN_INSTANCE_TYPE,)
    assert schema is not None
    assert "workload.schema" in schema
    assert instances is not None
    assert "no cost is known" in instances


@pytest.mark.parametrize(("existing", "level"), [(True, "warning"), (False, "stop")])
def test_an_unreachable_sts_stops_only_what_must_deploy(
    existing: bool,  # noqa: FBT001 - a table's column
    level: str,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    ledger: Ledger,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:1")
    chosen = mine("private") if existing else plan()
    found = preflight(chosen, lambda: Clients.from_environment("us-east-1", attempts=1), ledger)
    assert next(check.level for check in found.checks if check.name == "credentials") == level
    assert bool(found.stops) is not existing


@pytest.mark.parametrize(("status", "serves"), [("RollingBack", True), ("OutOfService", False)])
def test_an_endpoint_that_takes_a_change_back_still_serves(
    status: str,
    serves: bool,  # noqa: FBT001 - a table's column
    clients: Clients,
) -> None:
    describer, now = EndpointDescriber(clients), datetime.now(UTC)
    with Stubber(describer._client) as aws:
        seen = {
            "EndpointName": "theirs",
            "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/theirs",
            "EndpointStatus": status,
        }
        times = {"CreationTime": now, "LastModifiedTime": now}
        aws.add_response("describe_endpoint", seen | times | {"EndpointConfigName": "theirs"})
        aws.add_client_error("describe_endpoint_config", "AccessDeniedException")
        with contextlib.nullcontext() if serves else pytest.raises(UserError, match=status):
            assert describer.describe("theirs")["endpoint"]["EndpointStatus"] == status
