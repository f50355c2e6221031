"""Signature verification, with botocore's signer as the oracle."""

import base64
import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from emulator.http import HttpRequest
from emulator.signing import Credential, RefusedError, verify, verify_bearer

from .local_support import Local

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = {KEY: Credential(SECRET), "ASIATEMPORARY": Credential(SECRET, "token+/==")}
URL = "https://runtime.sagemaker.us-east-1.amazonaws.com"


def signed(
    body: bytes = b"{}",
    path: str = "/endpoints/x/invocations",
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> HttpRequest:
    key = "ASIATEMPORARY" if token else KEY
    request = AWSRequest(method="POST", url=URL + path, data=body, headers=headers or {})
    SigV4Auth(Credentials(key, SECRET, token), "sagemaker", "us-east-1").add_auth(request)
    sent = {name.lower(): str(value) for name, value in request.headers.items()}
    sent.setdefault("host", urlsplit(URL).netloc)
    where = urlsplit(str(request.url))
    return HttpRequest("POST", where.path, where.query, sent, body, socket.socket())


def now() -> datetime:
    return datetime.now(UTC)


header_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip)
segment = st.text(st.sampled_from("abcXYZ019-_.~"), min_size=1, max_size=20).filter(lambda s: s.strip("."))


@given(
    body=st.binary(max_size=200),
    segments=st.lists(segment, min_size=1, max_size=4),
    query=st.dictionaries(segment, segment, max_size=3),
    attributes=header_text,
    token=st.sampled_from([None, "token+/=="]),
)
def test_accepts_whatever_botocore_signs(
    body: bytes, segments: list[str], query: dict[str, str], attributes: str, token: str | None
) -> None:
    path = "/" + "/".join(segments) + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
    request = signed(body, path, token, {"X-Amzn-SageMaker-Custom-Attributes": attributes})
    assert verify(request, KEYS, now()).service == "sagemaker"


@given(body=st.binary(min_size=1, max_size=50), where=st.integers(0, 49), bit=st.integers(0, 7))
def test_refuses_a_body_of_which_one_bit_was_altered(body: bytes, where: int, bit: int) -> None:
    request = signed(body)
    altered = bytearray(body)
    altered[where % len(body)] ^= 1 << bit
    with pytest.raises(RefusedError) as refused:
        verify(
            HttpRequest("POST", request.path, "", request.headers, bytes(altered), request.connection),
            KEYS,
            now(),
        )
    assert refused.value.kind == "mismatch"


def test_refuses_an_altered_path_header_and_method() -> None:
    request = signed(headers={"X-Amzn-SageMaker-Inference-Id": "a"})
    altered_header = {**request.headers, "x-amzn-sagemaker-inference-id": "b"}
    for other in (
        HttpRequest("POST", "/endpoints/y/invocations", "", request.headers, b"{}", request.connection),
        HttpRequest("PUT", request.path, "", request.headers, b"{}", request.connection),
        HttpRequest("POST", request.path, "", altered_header, b"{}", request.connection),
    ):
        with pytest.raises(RefusedError, match="does not match"):
            verify(other, KEYS, now())


@pytest.mark.parametrize("minutes", [-6, 6])
def test_refuses_a_date_more_than_five_minutes_off(minutes: int) -> None:
    with pytest.raises(RefusedError, match="Signature expired" if minutes > 0 else "not yet current"):
        verify(signed(), KEYS, now() + timedelta(minutes=minutes))


@pytest.mark.parametrize("minutes", [-4, 4])
def test_accepts_a_date_within_five_minutes(minutes: int) -> None:
    verify(signed(), KEYS, now() + timedelta(minutes=minutes))


def test_session_tokens_must_be_those_of_the_key_and_not_expired() -> None:
    with pytest.raises(RefusedError) as wrong:
        verify(signed(token="other"), KEYS, now())
    assert wrong.value.kind == "unknown_key"
    keys = {"ASIATEMPORARY": Credential(SECRET, "token", expires_at=now().timestamp() - 1)}
    with pytest.raises(RefusedError) as expired:
        verify(signed(token="token"), keys, now())
    assert expired.value.kind == "expired_token"


@pytest.mark.parametrize(
    "query", ["%C3%A9=1&z=2&~=3", "b=%C3%BF&b=z&a%20b=1", "%E2%82%AC=1&%F0%9F%99%82=2&A=3"]
)
def test_a_query_is_sorted_by_its_encoded_names(query: str) -> None:
    assert verify(signed(path=f"/endpoints/x/invocations?{query}"), KEYS, now()).service == "sagemaker"


def bearer(
    expires: int = 3600, action: str = "CallWithBearerToken", secret: str = SECRET, key: str = KEY
) -> str:
    """A token as SageMaker's own generator makes it."""
    request = AWSRequest(
        "POST",
        "https://sagemaker.amazonaws.com/",
        headers={"host": "sagemaker.amazonaws.com"},
        params={"Action": action},
    )
    SigV4QueryAuth(Credentials(key, secret), "sagemaker", "us-east-1", expires=expires).add_auth(request)
    url = str(request.url).replace("https://", "") + "&Version=1"
    return "sagemaker-api-key-" + base64.b64encode(url.encode()).decode()


def test_bearer_tokens_are_verified() -> None:
    assert verify_bearer(bearer(), KEYS, now()).access_key == KEY
    with pytest.raises(RefusedError, match="expired"):
        verify_bearer(bearer(expires=60), KEYS, now() + timedelta(minutes=10))
    for token in (
        bearer(secret="x"),
        bearer(action="Other"),
        bearer(expires=50_000),
        "sagemaker-api-key-!",
        "",
    ):
        with pytest.raises(RefusedError):
            verify_bearer(token, KEYS, now())


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("sagemaker-runtime", "invoke_endpoint", "InvalidSignatureException"),
        ("sagemaker", "list_endpoints", "InvalidSignatureException"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
        ("scheduler", "list_schedules", "InvalidSignatureException"),
    ],
)
def test_a_wrong_secret_is_403_with_the_protocols_own_code(
    local: Local, service: str, call: str, code: str
) -> None:
    client = local.client(service, aws_secret_access_key="wrong")
    arguments: dict[str, Any] = {"EndpointName": "x", "Body": b"{}"} if call == "invoke_endpoint" else {}
    with pytest.raises(ClientError) as refused:
        getattr(client, call)(**arguments)
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, 403)


def test_an_unknown_key_is_told_from_a_wrong_secret(local: Local) -> None:
    with pytest.raises(ClientError) as refused:
        local.client("sagemaker-runtime", aws_access_key_id="AKIAOTHER").invoke_endpoint(
            EndpointName="x", Body=b"{}"
        )
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MissingAuthenticationTokenException"),
        ({"Authorization": "AWS4-HMAC-SHA256 Credential=a"}, "IncompleteSignatureException"),
        ({"Authorization": "Basic abc"}, "IncompleteSignatureException"),
    ],
)
def test_unsigned_and_half_signed_requests_are_403(local: Local, headers: dict[str, str], code: str) -> None:
    connection = local.connect()
    connection.request("POST", "/endpoints/x/invocations", b"{}", headers)
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("x-amzn-ErrorType")) == (403, code)
    connection.close()


def test_credentials_that_expire_while_in_use(local: Local) -> None:
    local.post(
        "/_local/credentials",
        {
            "access_key": "ASIAEXPIRED",
            "secret": "s",
            "session_token": "t",
            "expires_at": 1.0,
        },
    )
    client = local.client(
        "sagemaker-runtime",
        aws_access_key_id="ASIAEXPIRED",
        aws_secret_access_key="s",
        aws_session_token="t",
    )
    with pytest.raises(ClientError) as refused:
        client.invoke_endpoint(EndpointName="x", Body=b"{}")
    assert refused.value.response["Error"]["Code"] == "ExpiredTokenException"


def test_a_signature_for_another_service_is_refused_by_the_runtime(local: Local) -> None:
    url = f"{local.url}/endpoints/x/invocations"
    request = AWSRequest(method="POST", url=url, data=b"{}")
    keys = local.process.environment
    credentials = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(credentials, "bedrock", "us-east-1").add_auth(request)
    connection = local.connect()
    connection.request("POST", "/endpoints/x/invocations", b"{}", dict(request.headers.items()))
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("x-amzn-ErrorType")) == (403, "InvalidSignatureException")
    assert b"Credential should be scoped to correct service: 'sagemaker'" in answer.read()
    connection.close()


def test_a_bearer_token_on_another_path_is_told_what_is_served(local: Local) -> None:
    keys = local.process.environment
    for token, status, said in (
        (
            bearer(secret=keys["AWS_SECRET_ACCESS_KEY"], key=keys["AWS_ACCESS_KEY_ID"]),
            404,
            b"chat/completions",
        ),
        ("sagemaker-api-key-!", 403, b"bearer token"),
    ):
        connection = local.connect()
        connection.request(
            "GET", "/endpoints/x/openai/v1/models", headers={"Authorization": f"Bearer {token}"}
        )
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == status
        assert said in content
        assert b"algorithm" not in content
        connection.close()


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("autoscaling", "describe_auto_scaling_groups"),
        ("application-autoscaling", "describe_scalable_targets"),
        ("logs", "describe_log_groups"),
        ("s3", "list_buckets"),
        ("lambda", "list_functions"),
    ],
)
def test_a_service_that_is_not_here_says_so(local: Local, service: str, call: str) -> None:
    arguments = {"ServiceNamespace": "sagemaker"} if service.startswith("application") else {}
    with pytest.raises(ClientError) as refused:
        getattr(local.client(service), call)(**arguments)
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert answer["Error"]["Code"] == "NotServedHere"
    assert f"does not have the service {service};" in answer["Error"]["Message"]
