"""What answers in AWS's place: never a traceback, and what is left is named."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from common.errors import UserError
from deploy.aws.clients import Clients
from deploy.aws.read_only_endpoint import EndpointDescriber
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.inventory import inventory
from deploy.lifecycle.ledger import Item, Ledger, State
from deploy.lifecycle.progress import Progress
from deploy.lifecycle.removal import LeftBehindError
from deploy.lifecycle.signals import Interrupted, orderly_exit
from deploy.preflight.account_checks import check_quotas, check_role
from deploy.spec.endpoint_spec import EndpointSpec
from deploy.spec.owner import machine_owner
from deploy.spec.resolve import endpoint_specs
from tests.between import FOREIGN, RESET, Between, between
from tests.deploy.harness import QUICK, Account, plan

SHORT = replace(QUICK, removal_s=0.5, extra_while_creating_s=0.0, grace_s=0.1)
"""For deletions that can never succeed."""


@pytest.fixture
def portal(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    with between(account.url) as server, monkeypatch.context() as environment:
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER"):
            environment.setenv(name, server.url)
        yield server


@pytest.fixture
def clients(portal: Between) -> Clients:
    return Clients.from_environment("us-east-1", attempts=1)


@pytest.fixture
def spec(clients: Clients) -> EndpointSpec:
    return endpoint_specs(plan(), "portal", clients)[0]


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN)
def test_what_a_deletion_left_is_named(
    answer: bytes, portal: Between, clients: Clients, spec: EndpointSpec, ledger: Ledger
) -> None:
    with (
        pytest.raises(LeftBehindError) as caught,
        deployed(spec, clients, ledger, polling=SHORT),
    ):
        portal.answers["*"] = answer
    portal.answers.clear()
    assert {left.item.kind for left in caught.value.leftovers} == {"endpoint", "endpoint-config", "model"}
    assert f"aws sagemaker delete-endpoint --endpoint-name {spec.name}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(ledger.open_items()) == 3


@pytest.mark.parametrize("answer", ["html with 200", "a list with 200", "nothing with 200", "a redirect"])
@pytest.mark.parametrize(
    "call", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "DescribeEndpoint"]
)
def test_what_answers_while_creating_ends_in_a_sentence(
    call: str, answer: str, portal: Between, spec: EndpointSpec, ledger: Ledger
) -> None:
    portal.answers[call] = FOREIGN[answer]
    with pytest.raises(UserError) as caught:
        _play(spec, ledger, portal)
    assert "\n" not in str(caught.value)
    assert portal.met.count(call) >= 1
    assert Account(portal.target.geturl()).left() == []
    assert ledger.open_items() == []


def _play(spec: EndpointSpec, ledger: Ledger, portal: Between) -> None:
    """Deploy; the network is well again when the deletion begins."""

    def on_progress(progress: Progress) -> None:
        if progress.state == "deleting":
            portal.answers.clear()

    clients = Clients.from_environment("us-east-1", attempts=1)
    with deployed(
        spec,
        clients,
        ledger,
        on_progress,
        polling=replace(QUICK, in_service_s=0.5, eventual_consistency_s=0.2),
    ):
        pass


def test_one_that_fails_in_an_unforeseen_way_does_not_keep_the_next(
    clients: Clients, spec: EndpointSpec, ledger: Ledger, account: Account
) -> None:
    class Broken(Ledger):
        def mark(self, item: Item, state: State, arn: str | None = None) -> Item:
            if (item.kind, state) == ("endpoint-config", "deleted"):
                raise RuntimeError("a bug")
            return super().mark(item, state, arn)

    broken = Broken(ledger.folder)
    with (
        pytest.raises(LeftBehindError, match="RuntimeError: a bug") as caught,
        deployed(spec, clients, broken, polling=QUICK),
    ):
        pass
    assert [left.item.kind for left in caught.value.leftovers] == ["endpoint-config"]
    assert account.left() == []


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN)
def test_every_other_question_ends_in_a_sentence(
    answer: bytes, portal: Between, clients: Clients, spec: EndpointSpec, ledger: Ledger
) -> None:
    clients.identity  # noqa: B018 - asked while the network was well
    portal.answers["*"] = answer
    notices: list[str] = []
    assert inventory(clients, ledger, machine_owner(), on_notice=notices.append) == []
    assert notices
    assert [check.level for check in check_quotas([spec], clients)] == ["warning"]
    assert check_role("role", str(spec.role_arn), "sagemaker.amazonaws.com", clients).level == "warning"
    assert "not_described" in EndpointDescriber(clients).describe(spec.name)
    with pytest.raises(UserError, match="the AWS credentials' account"):
        Clients.from_environment("us-east-1", attempts=1).identity  # noqa: B018 - it asks


def test_whoever_does_not_wait_for_a_deletion_gets_the_names_of_what_is_left(
    portal: Between, spec: EndpointSpec, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.lifecycle.signals._READING_S", 0.0)
    clients = Clients.from_environment("us-east-1", attempts=1)

    def on_progress(progress: Progress) -> None:
        if progress.state == "deletion_refused":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    def run() -> None:
        with orderly_exit(), deployed(spec, clients, ledger, on_progress, polling=QUICK):
            portal.answers["*"] = RESET

    with pytest.raises(LeftBehindError, match="NOT DELETED and billed") as caught:
        run()
    portal.answers.clear()
    assert isinstance(caught.value.after, Interrupted)
    assert {left.item.kind for left in caught.value.leftovers} == {"endpoint", "endpoint-config", "model"}
    assert len(ledger.open_items()) == 3
    assert portal.met.count("DeleteModel") == 0


def test_a_wait_for_a_deletion_is_used_once(
    portal: Between, spec: EndpointSpec, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.lifecycle.removal._MEANWHILE_S", 0.0)
    clients = Clients.from_environment("us-east-1", attempts=1)
    used: list[list[str]] = []

    def meanwhile() -> None:
        used.append(portal.met.copy())
        portal.answers.clear()

    with deployed(spec, clients, ledger, polling=QUICK, meanwhile=meanwhile):
        portal.answers["*"] = RESET
    assert len(used) == 1
    assert used[0], "the deletion was asked for before"
    assert ledger.open_items() == []
