"""The endpoint's own counts of prompt tokens, as each kind of container gives them."""

import io
import json
import re
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
from locustfiles.client.request_bodies import BodyFactory
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


class Server:
    """A runtime client whose model has a token for each word, and a template of 20 tokens."""

    def __init__(self, *, counts: bool = True, refuses: bool = False) -> None:
        self.sent: list[dict[str, Any]] = []
        self._counts, self._refuses = counts, refuses

    def client(self, _: str) -> "Server":
        return self

    def invoke_endpoint(self, **members: Any) -> dict[str, Any]:
        self.sent.append(members)
        if self._refuses:
            raise ClientError({"Error": {"Code": "ModelError", "Message": "no"}}, "InvokeEndpoint")
        words = re.findall(r"\w+|[^\w\s]", json.loads(members["Body"])["messages"][0]["content"])
        usage = {"usage": {"prompt_tokens": 20 + len(words)}} if self._counts else {"usage": {}}
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


def test_a_replayed_trace_gets_its_own_lengths(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    lengths = [(90, 5), (120, 7), (90, 2), (333, 9)]
    lines = [f"{n},{prompt},{output}" for n, (prompt, output) in enumerate(lengths)]
    trace.write_text("\n".join(["time,prompt_tokens,output_tokens", *lines]))
    server = Server()
    load = {"trace": {"file": str(trace)}, "warm_up": 0}
    wanted = asked(tmp_path, concurrency=None, load=load, exact_for="vllm", unique_prefix=False)
    made = make_prompts(PayloadSpec(lengths=str(trace)), wanted, server)  # type: ignore[arg-type]
    assert made.prompts == 3
    assert made.exact_output == ["ignore_eos", "min_tokens"]
    bodies = BodyFactory(
        read_payload(wanted.payload),
        schema="openai",
        route="invocations",
        stream=False,
        parameters={},
        unique_prefix=False,
        exact_for="vllm",
    )
    for number, (prompt, output) in enumerate(lengths, 1):
        body = bodies.sized_body("s", number, prompt_tokens=prompt, output_tokens=output)
        answer = server.invoke_endpoint(Body=body.data)["Body"].read()
        assert prompt_tokens(answer, "openai") == prompt
        assert json.loads(body.data)["min_tokens"] == output
