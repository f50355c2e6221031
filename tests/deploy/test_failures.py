"""What a failed call means, and the remedy told: the account's, the network's or the clock's."""

import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from deploy.aws.clients import Clients
from deploy.aws.errors import classify, user_error
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Ledger
from deploy.spec.resolve import endpoint_specs
from tests.deploy.harness import QUICK, Account, plan


def answered(code: str, said: str, status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code, "Message": said}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")  # type: ignore[arg-type]  # the rest of an answer says nothing here


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answered("SlowDownPlease", "Rate exceeded", 429), "throttled"),
        (answered("InternalFailure", "", 500), "service"),
        (answered("ValidationException", 'Could not find endpoint "arn"'), "missing"),
        (answered("ValidationException", 'Cannot update in-progress endpoint "arn"'), "busy"),
        (answered("ValidationException", "1 validation error detected"), "invalid"),
    ],
)
def test_what_aws_answers_is_known_by_code_status_or_words(error: ClientError, expected: str) -> None:
    assert classify(error) == expected


@pytest.mark.parametrize(
    ("error", "remedy", "wrong"),
    [
        (
            answered(
                "SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than …", 403
            ),
            "clock",
            "renew",
        ),
        (answered("InvalidSignatureException", "Signature not yet current: …", 403), "clock", "renew"),
        (answered("InvalidClientTokenId", "The security token is invalid.", 403), "renew", "clock"),
        (ProxyConnectionError(proxy_url="http://***:***@proxy:3128"), "its proxy", "clock"),
        (EndpointConnectionError(endpoint_url="https://api"), "network", "clock"),
    ],
)
def test_the_remedy_is_of_what_is_wrong(error: Exception, remedy: str, wrong: str) -> None:
    sentence = user_error(error, "asking")
    assert remedy in sentence.remedy
    assert wrong not in str(sentence)


def test_why_nothing_is_known_of_an_endpoint_is_told_while_waiting(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    account.faults([{"call": "DescribeEndpoint", "fault": "throttle", "nth": n} for n in range(1, 3)])
    said: list[str] = []
    with deployed(
        endpoint_specs(plan(), "silent", clients)[0],
        clients,
        ledger,
        lambda progress: said.append(str(progress)),
        polling=QUICK,
    ):
        pass
    assert "no answer (Rate exceeded)" in said
    assert account.left() == []


def test_why_something_is_not_deleted_yet_is_told_while_it_is_tried(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    said: list[str] = []
    with deployed(
        endpoint_specs(plan(), "slow", clients)[0],
        clients,
        ledger,
        lambda progress: said.append(str(progress)),
        polling=QUICK,
    ):
        account.faults([{"call": "DeleteEndpoint", "fault": "throttle", "nth": n} for n in range(1, 3)])
    assert any(line.startswith("not deleted yet (Rate exceeded); still retrying, until") for line in said)
    assert account.left() == []


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (
            SSOTokenLoadError(error_msg="Token for corp does not exist"),
            "aws sso login --profile dev",
        ),
        (UnauthorizedSSOTokenError(), "aws sso login --profile dev"),
        (TokenRetrievalError(provider="sso", error_msg="Token has expired"), "aws sso login --profile dev"),
        (
            CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
            "aws sts get-caller-identity --profile dev",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_who_is_no_longer_signed_in_learns_how(
    error: Exception, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "dev")
    assert classify(error) == "credentials"
    assert f"`{remedy}`" in user_error(error, "asking").remedy
