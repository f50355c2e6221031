"""The simulated container: its timing model, its answers, its limits, its log of the truth."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from common.paths import PROJECT
from emulator.containers.profile import (
    GpuProfile,
    LengthMode,
    simulation_from_json,
    simulation_to_json,
)
from emulator.containers.schemas import (
    Completion,
    CompletionRequest,
    UnreadableError,
    encode_closing,
    encode_opening,
    encode_token,
    read_request,
)
from emulator.containers.synthetic_text import draw_answer_length, draw_token, make_token_counter
from emulator.model import ensure_tokenizer
from emulator.simulation import choose_profile, choose_simulation
from tests.support.polling import poll

from .local_support import OPENAI, TGI, Local
from .test_runtime import chat_body, failure, sse, stream, tgi_body

# Prompt tokens, completion tokens and seconds of the 15 requests of FMBench's run of 22 March 2024 (MIT-0).
RUN = (
    (1339, 9, 0.804466584),
    (1932, 102, 4.258487791),
    (1154, 9, 0.568672167),
    (1646, 9, 0.677540500),
    (1397, 19, 0.997394750),
    (1746, 24, 1.278557625),
    (1373, 9, 0.640376584),
    (1598, 5, 0.536484750),
    (1743, 102, 4.171010750),
    (1539, 102, 4.039660375),
    (1695, 102, 4.119933333),
    (1421, 102, 3.978045708),
    (1918, 102, 4.218003584),
    (1910, 102, 4.212967083),
    (1939, 10, 0.822372250),
)


def test_the_fitted_profile_gives_back_the_run_it_was_fitted_to() -> None:
    profile = choose_profile("ml.g5.xlarge", TGI, {})
    residuals = []
    for prompt, counted, seconds in RUN:
        tokens = 100 if counted == 102 else counted - 1
        prefill = profile.prefill_ms / 1000 + prompt / profile.prefill_tokens_per_s
        residuals.append(seconds - prefill - (tokens - 1) * profile.decode_ms / 1000)
    assert abs(sum(residuals) / len(residuals)) < 0.005
    assert max(map(abs, residuals)) < 0.17
    shares = [mode.share for mode in profile.answers if mode.low >= 100]
    assert sum(shares) == pytest.approx(7 / 15, abs=0.001)


def test_profiles_are_chosen_by_instance_and_image_and_overridden_by_environment() -> None:
    generic = choose_profile("ml.p4d.24xlarge", OPENAI, {})
    assert generic.source.startswith("round numbers")
    assert choose_profile("ml.g5.xlarge", OPENAI, {"HF_MODEL_ID": "meta-llama/Llama-2-7b-hf"}).slots == 32
    assert choose_profile("x", "y", {"SIMULATED_SLOTS": "3"}) == replace(generic, slots=3)
    assert choose_profile("x", "y", {"SIMULATED_PROFILE": "llama2-7b-ml.g5.xlarge"}).kv_tokens == 16_000
    lengths = choose_profile("x", "y", {"SIMULATED_ANSWERS": "[{share: 1, low: 5, high: 5}]"}).answers
    assert lengths == (LengthMode(share=1, low=5, high=5),)
    with pytest.raises(UserError, match="SIMULATED_SLOTS"):
        choose_profile("x", "y", {"SIMULATED_SLOTS": "many"})
    with pytest.raises(UserError, match=r"none\.yml cannot be read: No such file"):
        choose_profile("x", "y", {"SIMULATED_PROFILE": "none.yml"})


def test_a_container_is_told_exactly_what_was_chosen(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")
    environment = {
        "SIMULATED_TOKENIZER": str(tokenizer),
        "SIMULATED_FAULT": "break:3",
        "SIMULATED_LOG": "log",
    }
    chosen = choose_simulation("ml.g5.xlarge", TGI, environment)
    assert (chosen.schema, chosen.tokenizer, chosen.fault, chosen.log) == (
        "tgi",
        str(tokenizer),
        "break:3",
        "log",
    )
    assert len(chosen.profile.answers) > 1
    assert simulation_from_json(simulation_to_json(chosen)) == chosen
    assert choose_simulation("x", TGI, {"SIMULATED_FAMILY": "lmi"}).schema == "lmi"
    assert choose_simulation("x", TGI, {"SIMULATED_TOKENIZER": "words"}).tokenizer is None
    with pytest.raises(UserError, match="unknown family 'none'"):
        choose_simulation("x", TGI, {"SIMULATED_FAMILY": "none"})
    with pytest.raises(UserError, match=r"/nowhere\.json does not exist"):
        choose_simulation("x", TGI, {"SIMULATED_TOKENIZER": "/nowhere.json"})


@pytest.mark.e2e
def test_a_container_imports_nothing_that_takes_long() -> None:
    slow = ("pydantic", "yaml", "click", "botocore", "tokenizers", "importlib.metadata")
    program = f"import emulator.containers.simulated, sys; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == "[]\n"


@given(
    prompt=st.text(max_size=50),
    limit=st.one_of(st.none(), st.integers(1, 500)),
    minimum=st.integers(0, 50),
    seed=st.integers(0, 5),
)
def test_answer_lengths(prompt: str, limit: int | None, minimum: int, seed: int) -> None:
    profile = GpuProfile(
        answers=(LengthMode(share=0.5, low=5, high=9), LengthMode(share=0.5, low=100, high=300)), seed=seed
    )
    length, cut = draw_answer_length(profile, prompt, limit, minimum, ignore_eos=False)
    assert (length, cut) == draw_answer_length(profile, prompt, limit, minimum, ignore_eos=False)
    assert length >= min(minimum, limit or minimum)
    assert limit is None or length <= limit
    assert cut == (limit is not None and length == limit)
    if limit is not None:
        assert draw_answer_length(profile, prompt, limit, minimum, ignore_eos=True) == (limit, True)


def test_answers_are_bimodal_where_the_profile_is() -> None:
    profile = choose_profile("ml.g5.xlarge", TGI, {})
    lengths = [draw_answer_length(profile, f"prompt {i}", 100, 0, ignore_eos=False)[0] for i in range(600)]
    capped = sum(length == 100 for length in lengths)
    assert 0.40 < capped / 600 < 0.54
    assert all(length < 24 for length in lengths if length != 100)


@pytest.mark.parametrize(
    ("kind", "schema"),
    [("tgi", "tgi"), ("lmi", "lmi"), ("chat", "lmi"), ("chat", "openai"), ("completion", "openai")],
)
@given(tokens=st.integers(1, 20), prompt=st.text(min_size=1, max_size=20))
def test_streams_hold_every_token_once_in_every_schema(
    kind: Any, schema: Any, tokens: int, prompt: str
) -> None:
    answer = Completion(
        CompletionRequest(kind, schema, prompt, stream=True, limit=None, details=True, include_usage=True),
        3,
        finish="length",
    )
    data = encode_opening(answer)
    for number in range(tokens):
        identity, text = draw_token(prompt, number, 0)
        answer.texts.append(text)
        data += encode_token(answer, identity, text, last=number == tokens - 1)
    events = sse(data + encode_closing(answer), b"" if schema == "lmi" else b"data:")
    if kind in ("tgi", "lmi"):
        texts = [event["token"]["text"] for event in events]
        assert events[-1]["details"]["generated_tokens"] == tokens
    else:
        choices = [choice for event in events for choice in event["choices"]]
        texts = [c["delta"].get("content", "") if kind == "chat" else c["text"] for c in choices]
        assert events[-1]["usage"]["completion_tokens"] == tokens
        assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["length"]
    assert "".join(texts) == answer.text
    assert sum(bool(text) for text in texts) == tokens


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        ("tgi", b'{"prompt": "x"}'),
        ("openai", b'{"inputs": "x"}'),
        ("openai", b"[]"),
        ("openai", b"\xff"),
        ("openai", b'{"messages": []}'),
        ("openai", b'{"prompt": "x", "max_tokens": "ten"}'),
        ("lmi", b'{"inputs": "x", "parameters": {"max_new_tokens": -1}}'),
    ],
)
def test_requests_that_a_container_does_not_understand(schema: Any, body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_request(body, schema)


def test_tokens_are_counted_by_a_tokenizer_when_there_is_one() -> None:
    text = "Hello, antidisestablishmentarianism!"
    assert make_token_counter(None)(text) == 4
    assert make_token_counter(str(ensure_tokenizer()))(text) > 4


def test_requests_wait_for_slots_and_are_refused_when_too_many_wait(local: Local, tmp_path: Path) -> None:
    log = tmp_path / "truth.jsonl"
    limits = {"SIMULATED_SLOTS": "2", "SIMULATED_QUEUE_LIMIT": "1", "SIMULATED_DECODE_MS": "20"}
    endpoint = local.endpoint(OPENAI, {**limits, "SIMULATED_LOG": str(log)})
    streams = [stream(local, endpoint, chat_body(5000, stream=True)) for _ in range(2)]
    for opened in streams:
        next(opened)
    third = threading.Thread(target=list, args=(stream(local, endpoint, chat_body(5, stream=True)),))
    third.start()
    poll(lambda: local.load(endpoint) == {"running": 2, "waiting": 1})
    answer = failure(local, endpoint, chat_body(5))
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"]) == ("ModelError", 429)
    streams.pop().close()  # its slot goes to the one that waits
    third.join(20)
    assert not third.is_alive()
    streams.pop().close()
    poll(lambda: len(read_log(log)) == 3)
    rows = read_log(log)
    [waited] = [row for row in rows if row["finish"] == "length"]
    assert waited["completion_tokens"] == 5
    assert waited["admitted_at"] > min(row["last_sent_at"] for row in rows)
    assert sorted(row["finish"] for row in rows) == ["cancelled", "cancelled", "length"]
    local.delete(endpoint)


def read_log(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_the_log_tells_what_was_truly_sent(local: Local, tmp_path: Path) -> None:
    log = tmp_path / "truth.jsonl"
    endpoint = local.endpoint(TGI, {"SIMULATED_LOG": str(log)})
    list(stream(local, endpoint, tgi_body(9, stream=True), InferenceId="mine"))
    [row] = poll(lambda: read_log(log))
    assert (row["inference_id"], row["prompt_tokens"], row["completion_tokens"]) == ("mine", 6, 9)
    times = [row[key] for key in ("received_at", "admitted_at", "first_sent_at", "last_sent_at")]
    assert times == sorted(times)
    # Prefill of 1 ms and 6 tokens, then eight steps of 1 ms: tokens may be late on a busy machine, not early.
    # Late tokens leave together, so the time counts from the arrival of the request, not the first token.
    assert row["first_sent_at"] - row["received_at"] >= 0.001
    assert row["last_sent_at"] - row["received_at"] >= 0.0085
    local.delete(endpoint)


def test_a_prompt_beyond_the_context_is_refused(local: Local) -> None:
    endpoint = local.endpoint(TGI, {"SIMULATED_CONTEXT_TOKENS": "10"})
    answer = failure(local, endpoint, tgi_body(50))
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"]) == ("ModelError", 422)
    local.delete(endpoint)
