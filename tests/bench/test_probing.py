"""The endpoint's own counts of prompt tokens, as each kind of container gives them."""

import io
import json
import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bench.made_prompts import make_prompts
from bench.probing import NoCountsError, count_prompts, prompt_tokens
from configs.containers import WireSchema
from configs.experiment import Experiment
from configs.payload import read_payload
from configs.payload_spec import PayloadSpec
from locustfiles.client.invocation_url import resolve_target
from locustfiles.client.response import InvocationResult
from locustfiles.master.arrival_schedule import trace_arrivals
from locustfiles.messages import make_assignment
from locustfiles.worker.workload import Workload
from payloads.traces.prefixes import shared_blocks
from payloads.traces.trace import Arrival
from runfolder.records import Request
from runfolder.replayed_trace import TraceRow, write_trace
from tests.locustfiles.runs import experiment

OPENAI = {
    "choices": [{"message": {"content": "x"}, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 9},
}
TGI = [{"generated_text": "x", "details": {"generated_tokens": 1, "prefill": [{"id": 1}, {"id": 2}]}}]
LMI = {"generated_text": "x", "details": {"generated_tokens": 1, "input_length": 5}}
EMBEDDING = {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 3}}


@pytest.mark.parametrize(
    ("answer", "schema", "tokens"),
    [
        (OPENAI, "openai", 9),
        (OPENAI | {"choices": [{"message": {"content": ""}}]}, "openai", 9),
        (TGI, "tgi", 2),
        (LMI, "lmi", 5),
        (EMBEDDING, "embeddings", 3),
        ({"generated_text": "x"}, "tgi", None),
    ],
)
def test_the_count_of_an_answer_is_found(answer: Any, schema: WireSchema, tokens: int | None) -> None:
    assert prompt_tokens(json.dumps(answer).encode(), schema) == tokens


TURN_TOKENS = 4


class Server:
    """A runtime client whose model has a token for each word, and a template of 20 tokens, 4 a message."""

    def __init__(self, *, counts: bool = True, refuses: bool = False) -> None:
        self.sent: list[dict[str, Any]] = []
        self._counts, self._refuses = counts, refuses

    def client(self, _: str) -> "Server":
        return self

    def invoke_endpoint(self, **members: Any) -> dict[str, Any]:
        self.sent.append(members)
        if self._refuses:
            raise ClientError({"Error": {"Code": "ModelError", "Message": "no"}}, "InvokeEndpoint")
        said = [message["content"] for message in json.loads(members["Body"])["messages"]]
        words = [len(re.findall(r"\w+|[^\w\s]", text)) for text in said]
        tokens = 20 + sum(words) + TURN_TOKENS * (len(said) - 1)
        usage = {"usage": {"prompt_tokens": tokens}} if self._counts else {"usage": {}}
        return {"Body": io.BytesIO(json.dumps(OPENAI | usage).encode())}


def asked(folder: Path, **changes: Any) -> Experiment:
    changes = {"request_schema": "openai", "parameters": {}} | changes
    return experiment(folder, **changes).model_copy(update={"payload": folder / "rows.jsonl"})


def test_a_probe_is_one_request_for_one_token(tmp_path: Path) -> None:
    server = Server()
    parameters = {"max_tokens": 50, "temperature": 0, "ignore_eos": True, "min_tokens": 9}
    wanted = asked(tmp_path, parameters=parameters, component="c", headers={"TargetVariant": "v"})
    assert count_prompts(server, wanted, ["one two", "one"]) == [22, 21]  # type: ignore[arg-type]
    members = server.sent[0]
    body = json.loads(members.pop("Body"))
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (1, 0, False)
    assert not {"ignore_eos", "min_tokens"} & set(body)
    assert members["InferenceComponentName"] == "c"
    assert members["TargetVariant"] == "v"


@pytest.mark.parametrize(
    ("server", "reason"),
    [(Server(counts=False), "have no count of prompt tokens"), (Server(refuses=True), "refused a request")],
)
def test_without_counts_lengths_are_estimates_that_say_so(
    tmp_path: Path, server: Server, reason: str
) -> None:
    wanted = asked(tmp_path)
    with pytest.raises(NoCountsError, match=reason):
        count_prompts(server, wanted, ["one"])  # type: ignore[arg-type]
    made = make_prompts(PayloadSpec(lengths="D(90)/(5)", count=9), wanted, server)  # type: ignore[arg-type]
    assert made.no_counts is not None
    assert reason in made.no_counts
    assert [scale.counted_by for scale in made.scales] == ["estimate"]
    assert {row.prompt_tokens_source for row in read_payload(wanted.payload)} == {"estimate"}
    assert made.probes == 1


def test_the_rows_of_an_experiment_have_the_lengths_that_the_server_counts(tmp_path: Path) -> None:
    server, wanted = Server(), asked(tmp_path, exact_for="vllm", unique_prefix=False)
    made = make_prompts(PayloadSpec(lengths="U(80,200)/(2,5)", count=9), wanted, server)  # type: ignore[arg-type]
    rows = read_payload(wanted.payload)
    counted = count_prompts(server, wanted, [row.text for row in rows])  # type: ignore[arg-type]
    assert counted == [row.asked_prompt_tokens for row in rows]
    assert (made.prompts, made.probes, made.no_counts) == (9, 4, None)
    assert made.scales[0].residual == pytest.approx(0, abs=1e-9)
    assert made.exact_output == ["ignore_eos", "min_tokens"]


def test_the_prompts_of_a_replayed_trace_are_alike_where_it_says_so(tmp_path: Path) -> None:
    server, work, rows = (
        Server(),
        {},
        replayed(
            (100, ("a",), 40),
            (333, ("a",), 40),
            (60, ("a",), 40),
            (90, (), None),
            (1600, ("m", "n", "o"), 512),
            (1600, ("m", "n", "p"), 512),
            (1300, ("m", "x"), 512),
            (1024, ("m", "n"), 512),
            (1024, ("m", "n"), 512),
            (22, ("a",), 40),
        ),
    )
    write_trace(tmp_path, rows)
    for unique in (False, True):
        wanted = asked(
            tmp_path, concurrency=None, load={"trace": {"file": "t.csv"}, "warm_up": 0}, exact_for="vllm",
            unique_prefix=unique, route="invocations",
        )  # fmt: skip
        made = make_prompts(PayloadSpec(lengths="t.csv"), wanted, server)  # type: ignore[arg-type]
        payload = read_payload(wanted.payload)
        work[unique] = [
            Workload(make_assignment(wanted, resolve_target(wanted), payload), name) for name in ("w0", "w1")
        ]
    assert (made.prompts, made.replayed, made.prefix_groups) == (10, True, 2)
    assert made.prefix_share == pytest.approx((40 + 40 + 22 + 1024 + 512 + 1024 + 1024) / 7153)

    arrivals = [a._replace(number=n) for n, a in enumerate(trace_arrivals(rows, 1.0), 1)]
    again = [a._replace(number=n) for n, a in enumerate(trace_arrivals(rows, 1.0, first_block=9), 11)]
    texts = prompts(work[True][0], arrivals)
    assert [counted(server, data) for data in texts] == [row.prompt_tokens for row in rows]
    assert prompts(work[True][1], arrivals) == texts, "whatever the worker"
    shared = [(0, 1, 20), (0, 2, 20), (4, 5, 1004), (4, 6, 492), (7, 8, 1004), (4, 7, 1004), (0, 9, 2)]
    for one, other, words in shared:
        assert alike(texts[one], texts[other]) == words, (one, other)
    for one, other in ((0, 3), (0, 4), (1, 7)):
        assert alike(texts[one], texts[other]) < 3
    other_step = prompts(work[True][0], again)
    assert alike(other_step[4], other_step[5]) == 1004
    assert all(alike(text, later) < 3 for text, later in zip(texts, other_step, strict=True))
    same = work[False][0]
    assert prompts(same, arrivals) == prompts(
        same, [a._replace(number=n) for n, a in enumerate(arrivals, 11)]
    )


def replayed(*requests: tuple[int, tuple[str, ...], int | None]) -> list[TraceRow]:
    """A request a second, each with its length, its blocks and their length."""
    trace = [Arrival(float(n), length, 5, prefix=blocks) for n, (length, blocks, _) in enumerate(requests)]
    return [
        TraceRow(a.at_s, a.prompt_tokens, a.output_tokens, None, " ".join(map(str, blocks)) or None, tokens)
        for a, blocks, (_, _, tokens) in zip(trace, shared_blocks(trace), requests, strict=True)
    ]


def prompts(work: Workload, arrivals: Sequence[Any]) -> list[bytes]:
    return [work.arrival_body(arrival).data for arrival in arrivals]


def counted(server: Server, data: bytes) -> int | None:
    return prompt_tokens(server.invoke_endpoint(Body=data)["Body"].read(), "openai")


def alike(one: bytes, other: bytes) -> int:
    """Words and marks with which two prompts begin both."""
    words = [re.findall(r"\w+|[^\w\s]", json.loads(data)["messages"][0]["content"]) for data in (one, other)]
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*words, strict=False))))


def test_every_turn_of_a_trace_has_the_length_that_its_history_leaves(tmp_path: Path) -> None:
    server = Server()
    rows = [TraceRow(float(n), 100 * n, 30, "s") for n in range(1, 5)]
    write_trace(tmp_path, rows)
    load = {"trace": {"file": "t.csv"}, "warm_up": 0}
    wanted = asked(tmp_path, concurrency=None, load=load, exact_for="vllm")
    made = make_prompts(PayloadSpec(lengths="t.csv"), wanted, server)  # type: ignore[arg-type]
    assert made.probes == 7
    payload = read_payload(wanted.payload)
    talks = Workload(make_assignment(wanted, resolve_target(wanted), payload), "w0").dialogues
    arrivals = [a._replace(number=n) for n, a in enumerate(trace_arrivals(rows, 1.0), 1)]
    dialogue = talks.begin(arrivals[0])
    for turn, arrival in enumerate(arrivals, 1):
        if turn > 1:
            talks.add_turn(dialogue, arrival)
        body = talks.body(dialogue)
        tokens = counted(server, body.data)
        assert (tokens, body.asked_prompt_tokens, body.asked_output_tokens) == (100 * turn, 100 * turn, 30)
        answer = Request("r", "s", "w0", "p", 0.0, prompt_tokens=tokens, completion_tokens=30)
        talks.record_answer(dialogue, InvocationResult(answer, [], "so " * 30, 1.0))
