"""Checks that ask the account: what is left of its quotas, and how long its credentials last."""

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from common.errors import UserError
from deploy.aws.clients import Clients
from deploy.lifecycle.ledger import Ledger
from deploy.preflight.account_checks import (
    check_credential_lifetime,
    check_image_exists,
    check_quotas,
    check_role,
)
from deploy.preflight.preflight import preflight
from deploy.spec.endpoint_spec import EndpointSpec
from emulator.process import LocalSageMaker
from tests.deploy.harness import IMAGE, Account, plan


@pytest.fixture(scope="module")
def fresh() -> Iterator[LocalSageMaker]:
    """An account of its own: what is set here would limit every other test."""
    with LocalSageMaker() as local:
        yield local


@pytest.fixture
def there(fresh: LocalSageMaker, monkeypatch: pytest.MonkeyPatch) -> Clients:
    for name, value in fresh.environment.items():
        monkeypatch.setenv(name, value)
    return Clients.from_environment("us-east-1", attempts=1)


def found(clients: Clients, instance_type: str, count: int = 1) -> list[tuple[str, str, str]]:
    spec = EndpointSpec("bench", "run", "us-east-1", instance_type, count)
    return [(check.name, check.level, check.finding) for check in check_quotas([spec], clients)]


def test_a_quota_without_an_applied_value_has_its_default(there: Clients, fresh: LocalSageMaker) -> None:
    finding = "0 allowed, 0 in use, 1 needed"
    assert found(there, "ml.p5.48xlarge") == [("quota ml.p5.48xlarge", "stop", finding)]
    fresh.configure("quotas", {"ml.p5.48xlarge": 1})
    assert [level for _, level, _ in found(there, "ml.p5.48xlarge")] == ["ok"]


def test_a_type_without_any_quota_stops(there: Clients) -> None:
    [(_, level, finding)] = found(there, "ml.unheard.xlarge")
    assert (level, "no quota" in finding) == ("stop", True)


def test_the_quota_of_all_types_together_is_seen_where_it_is_listed(
    there: Clients, fresh: LocalSageMaker
) -> None:
    fresh.configure("quotas", {"*": 2})
    assert [level for _, level, _ in found(there, "ml.g5.xlarge", 2)] == ["ok", "ok"]
    assert found(there, "ml.g5.xlarge", 3) == [
        ("quota ml.g5.xlarge", "ok", "4 allowed, 0 in use, 3 needed"),
        ("quota of all endpoints", "stop", "2 allowed, 0 in use, 3 needed"),
    ]


def test_the_quotas_are_asked_for_once_for_all_types(there: Clients, fresh: LocalSageMaker) -> None:
    def asked(*types: str) -> int:
        before = len(Account(fresh.url).calls())
        check_quotas([EndpointSpec("bench", "run", "us-east-1", kind) for kind in types], there)
        return Account(fresh.url).calls(before).count(("service-quotas", "ListServiceQuotas"))

    assert asked("ml.g5.xlarge", "ml.g5.2xlarge", "ml.g5.4xlarge") == asked("ml.g5.xlarge")


@pytest.mark.parametrize(
    ("called", "service", "level"),
    [
        ("Loose", "sagemaker.amazonaws.com", "ok"),
        ("Loose", "scheduler.amazonaws.com", "stop"),
        ("Nobody", "scheduler.amazonaws.com", "stop"),
    ],
)
def test_a_role_must_be_there_and_trust_the_service_that_assumes_it(
    called: str, service: str, level: str, there: Clients, fresh: LocalSageMaker
) -> None:
    fresh.configure("roles", {"Loose": ["sagemaker.amazonaws.com"]})
    check = check_role("a role", f"arn:aws:iam::123456789012:role/path/{called}", service, there)
    assert (check.level, called in check.finding) == (level, True)


def test_the_role_of_the_schedule_is_looked_at_before_the_schedule_is_needed(
    there: Clients, fresh: LocalSageMaker
) -> None:
    fresh.configure("roles", {"Execution": ["sagemaker.amazonaws.com"]})
    endpoint = {"instance_type": "ml.g5.xlarge", "role": "Execution", "scheduler_role": "Execution"}
    checks = preflight(plan(endpoint=endpoint), lambda: there, Ledger()).checks
    assert {check.name: check.level for check in checks if check.name.endswith("role")} == {
        "execution role": "ok",
        "scheduler role": "stop",
    }


@pytest.mark.parametrize(
    ("code", "level"), [("ImageNotFound", "stop"), ("KmsError", "warning"), (None, "ok")]
)
def test_only_an_image_that_is_not_there_stops(code: str | None, level: str, there: Clients) -> None:
    every_form = ["docker.distribution.manifest.v2", "docker.distribution.manifest.list.v2"]
    every_form += ["oci.image.manifest.v1", "oci.image.index.v1"]
    asked = {
        "registryId": "123456789012",
        "repositoryName": "simulated",
        "imageIds": [{"imageTag": "latest"}],
        "acceptedMediaTypes": [f"application/vnd.{form}+json" for form in every_form],
    }
    answer = {"failures": [{"failureCode": code, "failureReason": "so"}]} if code else {"images": [{}]}
    with Stubber(there.client("ecr")) as ecr:
        ecr.add_response("batch_get_image", answer, asked)
        check = check_image_exists(IMAGE, there)
    assert check is not None
    assert check.level == level


NEW_YEAR = 4_070_908_800.0
"""2099-01-01T00:00:00Z"""
SAFE: dict[str, Any] = {"instance_type": "ml.g5.xlarge", "scheduler_role": "Scheduler"}
UNSAFE: dict[str, Any] = {"instance_type": "ml.g5.xlarge"}


def clients_of_session(monkeypatch: pytest.MonkeyPatch, token: str | None, end: str | None) -> Clients:
    for name, value in {"AWS_SESSION_TOKEN": token, "AWS_CREDENTIAL_EXPIRATION": end}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    return Clients(botocore.session.get_session(), "us-east-1")


@pytest.mark.parametrize(
    ("endpoint", "longest_s", "level"),
    [
        (UNSAFE, 60.0, "ok"),
        (UNSAFE, 7200.0, "stop"),
        (SAFE, 7200.0, "stop"),  # the endpoint would go, but the run would break off
        ({"name": "theirs"}, 7200.0, None),
    ],
)
def test_a_session_that_is_known_to_end_must_outlast_the_run(
    endpoint: dict[str, Any], longest_s: float, level: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = clients_of_session(monkeypatch, "token", "2099-01-01T00:00:00Z")
    check = check_credential_lifetime(plan(endpoint=endpoint), clients, longest_s, now=NEW_YEAR - 3600)
    assert (check and check.level) == level


@pytest.mark.parametrize(("endpoint", "level"), [(UNSAFE, "warning"), (SAFE, "ok")])
def test_a_session_of_unknown_end_needs_the_schedule(
    endpoint: dict[str, Any], level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = check_credential_lifetime(
        plan(endpoint=endpoint), clients_of_session(monkeypatch, "token", None), 7200.0
    )
    assert check is not None
    assert (check.level, "scheduler_role" in check.remedy) == (level, level == "warning")


def test_a_session_that_has_ended_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    clients_of_session(monkeypatch, "token", "2020-01-01T00:00:00Z")
    with pytest.raises(UserError, match="have expired"):
        Clients.from_environment("us-east-1")


def test_keys_that_do_not_end_are_not_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_credential_lifetime(plan(), clients_of_session(monkeypatch, None, None), 7200.0) is None
