"""The parts that need no socket: bodies, buckets, URLs, credentials, and the counts of an answer."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from configs.payload import PayloadRow
from locustfiles.client import error_classes
from locustfiles.client.credentials import CredentialKeeper, bearer_token
from locustfiles.client.invocation_url import ca_bundle, resolve_target, runtime_url
from locustfiles.client.request_bodies import BodyFactory
from locustfiles.client.signing import SigningKeys
from locustfiles.messages import MeasureWindow
from locustfiles.worker.gap_histogram import GapCounter, bucket_of
from runfolder.records import GapBucket
from tests.locustfiles.runs import experiment

ROWS = [PayloadRow(f"p{n}", f"prompt {n}", n) for n in range(4)]


def factory(**changes: Any) -> BodyFactory:
    options = {
        "schema": "tgi",
        "route": "invocations",
        "stream": True,
        "parameters": {},
        "unique_prefix": True,
    }
    return BodyFactory(ROWS, **{**options, **changes})


def taken(bodies: BodyFactory, seed: str, count: int) -> list[Any]:
    stream = bodies.bodies(seed)
    return [next(stream) for _ in range(count)]


def test_every_prompt_begins_with_a_nonce_of_its_own_and_the_same_seed_gives_the_same_bodies() -> None:
    first, again = taken(factory(), "a", 40), taken(factory(), "a", 40)
    assert [body.data for body in first] == [body.data for body in again]
    prompts = [json.loads(body.data)["inputs"] for body in first + taken(factory(), "b", 40)]
    assert len({tuple(prompt.split()[:5]) for prompt in prompts}) == 80
    assert all(prompt.split()[5:] == ["prompt", prompt[-1]] for prompt in prompts)


def test_without_a_unique_prefix_the_prompt_is_sent_as_it_is() -> None:
    bodies = taken(factory(unique_prefix=False), "a", 4)
    assert {json.loads(body.data)["inputs"] for body in bodies} == {row.prompt for row in ROWS}


def test_every_row_comes_once_before_any_comes_twice() -> None:
    ids = [body.payload_id for body in taken(factory(), "a", 12)]
    assert all(len(set(ids[at : at + 4])) == 4 for at in (0, 4, 8))


@pytest.mark.parametrize("stream", [True, False])
def test_request_schemas_ask_for_the_counts_that_they_can_give(*, stream: bool) -> None:
    tgi = json.loads(taken(factory(stream=stream), "a", 1)[0].data)
    assert tgi["parameters"]["details"] is True
    assert tgi["stream"] is stream
    chat = json.loads(taken(factory(schema="openai", stream=stream, route="openai"), "a", 1)[0].data)
    assert chat["messages"][0]["role"] == "user"
    assert chat["model"] == ""
    assert ("stream_options" in chat) is stream


@given(st.floats(0.0, 1e6))
def test_a_gap_lies_inside_its_bucket_and_buckets_are_at_most_one_percent_wide(gap: float) -> None:
    row = GapBucket.at("s", bucket_of(gap), 1)
    assert row.low_ms * (1 - 1e-9) <= gap < row.high_ms * (1 + 1e-9)
    if row.low_ms:
        assert row.high_ms / row.low_ms <= 1.01 + 1e-9


def test_gaps_of_requests_outside_the_window_do_not_count() -> None:
    counter = GapCounter()
    counter.add("s", 9.0, [1.0])
    counter.add("s", 10.0, [2.0, 2.0])
    assert counter.pop_counts() == []
    counter.close_window("s", MeasureWindow(10.0, 20.0))
    counter.add("s", 19.9, [2.0])
    counter.add("s", 20.0, [3.0])
    assert sum(count for _, _, count in counter.pop_counts()) == 3


MOMENTS = st.floats(0.0, 6.0)


@given(st.lists(st.tuples(MOMENTS, st.lists(st.sampled_from([1.0, 5.0]), max_size=3))), MOMENTS, MOMENTS)
def test_gaps_that_waited_for_their_window_are_counted_to_its_edges(
    requests: list[tuple[float, list[float]]], start: float, end: float
) -> None:
    counter = GapCounter()
    for started_at, gaps_ms in requests:
        counter.add("s", started_at, gaps_ms)
    counter.close_window("s", MeasureWindow(start, end))
    inside = [gap for started_at, gaps_ms in requests if start <= started_at < end for gap in gaps_ms]
    counted = {index: count for _, index, count in counter.pop_counts()}
    assert counted == Counter(map(bucket_of, inside))


def clean_environment(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("region", "environment", "url"),
    [
        ("eu-west-3", {}, "https://runtime.sagemaker.eu-west-3.amazonaws.com"),
        ("cn-north-1", {}, "https://runtime.sagemaker.cn-north-1.amazonaws.com.cn"),
        (
            "us-east-1",
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "https://runtime-fips.sagemaker.us-east-1.amazonaws.com",
        ),
        ("us-east-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:81"}, "http://127.0.0.1:81"),
        (
            "us-east-1",
            {
                "AWS_ENDPOINT_URL": "http://a",
                "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "http://127.0.0.1:82/base",
            },
            "http://127.0.0.1:82/base",
        ),
    ],
)
def test_the_url_is_botocores(
    monkeypatch: pytest.MonkeyPatch, region: str, environment: dict[str, str], url: str
) -> None:
    clean_environment(monkeypatch, **environment)
    assert runtime_url(region) == url


def test_routes_and_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean_environment(monkeypatch, AWS_ENDPOINT_URL="http://127.0.0.1:81")
    streamed = resolve_target(experiment(tmp_path))
    assert streamed.path == "/endpoints/truth/invocations-response-stream"
    assert streamed.host_header == "127.0.0.1:81"
    component = resolve_target(experiment(tmp_path, component="ic", stream=False))
    assert component.path == "/endpoints/truth/invocations"
    assert component.headers["X-Amzn-SageMaker-Inference-Component"] == "ic"
    chat = resolve_target(experiment(tmp_path, component="ic", route="openai"))
    assert chat.path == "/endpoints/truth/inference-components/ic/openai/v1/chat/completions"
    assert (chat.bearer, chat.event_stream) == (True, False)


def test_the_ca_bundle_is_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch, AWS_CA_BUNDLE="/a.pem", REQUESTS_CA_BUNDLE="/b.pem")
    assert ca_bundle() == "/a.pem"
    monkeypatch.delenv("AWS_CA_BUNDLE")
    assert ca_bundle() == "/b.pem"
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert ca_bundle().endswith(".pem")


def test_no_credentials_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match="no AWS credentials"):
        CredentialKeeper(lambda: None)


def test_credentials_are_renewed_before_they_expire() -> None:
    generation = 0

    def refresh() -> dict[str, str]:
        nonlocal generation
        generation += 1
        expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 120))
        return {
            "access_key": f"AKIA{generation}",
            "secret_key": "s",
            "token": f"t{generation}",
            "expiry_time": expiry,
        }

    keeper = CredentialKeeper(lambda: RefreshableCredentials.create_from_metadata(refresh(), refresh, "test"))
    held = keeper.keys
    keeper.renew()
    assert keeper.keys != held
    assert keeper.keys.token == f"t{generation}"


@pytest.mark.parametrize("error", [RuntimeError("no network"), ClientError({}, "AssumeRole")])
def test_a_failed_renewal_keeps_the_keys(error: Exception) -> None:
    keeper = CredentialKeeper(lambda: Credentials("AKIA", "s"))

    def broken() -> Any:
        raise error

    keeper._credentials.get_frozen_credentials = broken  # type: ignore[method-assign]
    keeper.renew()
    assert keeper.keys.access_key == "AKIA"


def test_the_bearer_token_is_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    from sagemaker.core.token_generator import token_generator  # noqa: PLC0415 - slow, and only here

    keys = SigningKeys("AKIAX", "secret", "token")
    theirs = token_generator.SageMakerTokenGenerator().get_token(
        Credentials(keys.access_key, keys.secret_key, keys.token), "eu-west-1"
    )
    ours = bearer_token(keys, "eu-west-1")
    assert len(ours) == len(theirs)
    if ours != theirs:  # signed across the turn of a second
        theirs = token_generator.SageMakerTokenGenerator().get_token(
            Credentials(keys.access_key, keys.secret_key, keys.token), "eu-west-1"
        )
        assert bearer_token(keys, "eu-west-1") == theirs


@pytest.mark.parametrize(
    ("error_class", "detail", "words"),
    [
        ("auth", "ExpiredTokenException: The security token included in the request is expired", "renew"),
        ("auth", "InvalidSignatureException: Signature expired: 20260101T000000Z is now earlier", "NTP"),
        ("auth", "AccessDeniedException: not authorized", "sagemaker:InvokeEndpoint"),
        ("auth", "InvalidSignatureException: does not match", "credentials"),
        ("validation", "ValidationError: Endpoint e of account not found", "InService"),
    ],
)
def test_every_stop_names_its_remedy(error_class: Any, detail: str, words: str) -> None:
    failure = error_classes.Failure(error_class, detail)
    _finding, remedy = error_classes.explain_refusal(failure, "us-east-1", "e")
    assert words in remedy
