"""Stateful sessions as unmodified boto3 sees them, and which instance serves what."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from emulator.containers.prefix_cache import PrefixCache

from .local_support import OPENAI, Local
from .test_runtime import chat_body, failure, sse, stream

OPEN, CLOSE = b'{"requestType": "NEW_SESSION"}', b'{"requestType": "CLOSE"}'


def granted(local: Local, endpoint: str) -> str:
    """What a new session is called, which must be as botocore's model says."""
    runtime = local.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=OPEN, SessionId="NEW_SESSION")
    shape = runtime.meta.service_model.operation_model("InvokeEndpoint").output_shape
    name: str = answer["NewSessionId"]
    assert re.fullmatch(shape.members["NewSessionId"].metadata["pattern"], name)
    return name


def test_a_session_stays_on_one_instance_and_its_prefix_in_one_cache(local: Local, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    variables = {
        "SAGEMAKER_ENABLE_STATEFUL_SESSIONS": "true",
        "SIMULATED_PREFIX_CACHE": "true",
        "SIMULATED_LOG": str(log),
    }
    endpoint = local.endpoint(OPENAI, variables, InitialInstanceCount=2)
    long = "Why is the sea salty, and the river not? " * 20
    body = json.dumps({"messages": [{"role": "user", "content": long}], "max_tokens": 2, "stream": True,
                       "stream_options": {"include_usage": True}}).encode()  # fmt: skip
    sessions = [granted(local, endpoint).split(";")[0] for _ in range(4)]
    cached = [
        [sse(b"".join(stream(local, endpoint, body, SessionId=session)))[-1]["usage"] for session in sessions]
        for _ in range(3)
    ]
    served = defaultdict(set)
    for row in map(json.loads, log.read_text().splitlines()):
        served[row["session_id"]].add(row["instance"])
    assert sorted(served) == sorted(sessions)
    assert {len(instances) for instances in served.values()} == {1}
    assert all(
        usage["prompt_tokens_details"]["cached_tokens"] > 150 for usages in cached[1:] for usage in usages
    )
    log.unlink()
    for _ in range(20):
        list(stream(local, endpoint, chat_body(1, stream=True)))
    spread = {json.loads(line)["instance"] for line in log.read_text().splitlines()}
    assert len(spread) == 2, "without a session, any instance may serve"

    closed = local.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=CLOSE, SessionId=sessions[0]
    )
    assert closed["ClosedSessionId"] == sessions[0]
    answer = failure(local, endpoint, chat_body(1), SessionId=sessions[0])
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"]) == ("ModelError", 400)
    assert f"session not found: {sessions[0]}" in answer["OriginalMessage"]
    local.delete(endpoint)


def test_lmi_names_a_session_in_another_header_and_a_stream_cannot_open_one(local: Local, lmi: str) -> None:
    assert granted(local, lmi)
    with pytest.raises(ClientError, match=r"'NEW_SESSION' at 'sessionId' failed to satisfy constraint"):
        list(stream(local, lmi, OPEN, SessionId="NEW_SESSION"))


def test_a_container_without_sessions_refuses_them(local: Local, openai: str) -> None:
    answer = failure(local, openai, OPEN, SessionId="NEW_SESSION")
    assert "stateful sessions not enabled" in answer["OriginalMessage"]


def test_a_prefix_cache_knows_beginnings_and_forgets_the_oldest() -> None:
    cache = PrefixCache(tokens=16 * 12)
    first, second, third = (word * 200 for word in ("one ", "two ", "six "))
    cache.add(first)
    assert cache.known_tokens(first + second, 400) == 400 * 12 * 64 // 1600
    assert cache.known_tokens(second, 200) == 0
    assert cache.known_tokens("x" + first, 200) == 0
    cache.add(third)
    assert cache.known_tokens(first, 200) == 0
