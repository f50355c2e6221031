"""A plan is short to write, and every mistake in it is one sentence with file, key and remedy."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from configs.containers import Family, WireSchema
from configs.durations import parse_seconds
from configs.experiment import (
    experiment_name,
    load_steps,
    request_parameters,
    wire_schema,
)
from configs.payload_spec import PayloadSpec
from configs.plan import Plan
from configs.reading import read_plan
from configs.workload import Workload

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = {
    "name": "small",
    "model": {"name": "m", "source": "local"},
    "workload": {"payload": "en_50-100"},
    "load": {"concurrency": [1, 2]},
}


def write(folder: Path, content: object) -> Path:
    path = folder / "plan.yml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yml")), ids=lambda p: p.name)
def test_every_shipped_plan_is_valid(path: Path) -> None:
    overrides = {"endpoint.name": "mine"} if path.stem == "endpoint" else {}
    load = read_plan(path, overrides).load
    assert load.concurrency or load.search


def test_a_short_plan_gets_defaults(tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path, SMALL))
    assert [spec.file for spec in plan.workload.payload] == ["en_50-100"]
    assert plan.load.timeouts.first_byte == 70
    assert plan.slo.objectives == ()


def test_durations_and_objectives_are_read(tmp_path: Path) -> None:
    slo = {"ttft_p95": "800ms", "e2e_mean": 2, "error_rate": 0.05}
    plan = read_plan(write(tmp_path, SMALL | {"slo": slo}))
    assert [(o.key, o.limit_ms) for o in plan.slo.objectives] == [("ttft_p95", 800), ("e2e_mean", 2000)]
    assert plan.slo.error_rate == 0.05


def test_overrides_reach_into_the_plan(tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path, SMALL), {"endpoint.instance_type": "ml.g5.2xlarge"})
    assert plan.endpoint.instance_type == ("ml.g5.2xlarge",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"lod": {}}, "lod is not a key of a plan; did you mean load?"),
        ({"load": {"concurency": [1]}}, "load.concurency is not a key of a plan; did you mean concurrency?"),
        ({"load": {"concurrency": []}}, "load.concurrency"),
        ({"load": {"concurrency": [0]}}, "load.concurrency.0"),
        ({"load": {"concurrency": [1], "measure": "soon"}}, "load.measure: write a duration such as"),
        ({"slo": {"ttft_p42": "1s"}}, "slo.ttft_p42 is not known"),
        (
            {"model": {"name": "m", "source": "jumpstart"}},
            "model.id is needed when model.source is jumpstart",
        ),
        ({"name": "a plan"}, "name: use up to 40 letters"),
        ({"workload": {}}, "workload.payload is missing"),
        ({"load": {"concurrency": 4}}, "load.concurrency: write a list, such as [4], not 4"),
        ({"load": {"concurrency": "1,2"}}, "load.concurrency: write a list, such as [1,2], not '1,2'"),
        ({"load": {"concurrency": [True]}}, "load.concurrency.0: write a number, not True"),
        ({"load": {"concurrency": [-1]}}, "load.concurrency.0: must be at least 1, not -1"),
        ({"load": {"concurrency": [10**9]}}, "load.concurrency.0: must be at most 100000, not 1000000000"),
        ({"load": {"concurrency": [1], "measure": "2 minutes"}}, "500ms, 5s, 2m or 1h, not '2 minutes'"),
        ({"load": {"concurrency": [1], "measure": "10000h"}}, "load.measure: must be at most 86400"),
        (
            {"load": {"concurrency": [1], "spawn_rate": float("nan")}},
            "load.spawn_rate: write a finite number",
        ),
        (
            {"load": {"concurrency": [1], "timeouts": {"total": 0}}},
            "load.timeouts.total: must be more than 0",
        ),
        ({"load": {"concurrency": [1], "timeouts": {"firstbyte": 1}}}, "did you mean first_byte?"),
        ({"load": [1, 2]}, "load: write keys and values below it"),
        ({"concurrency": [1]}, "concurrency is not a key of a plan; it belongs under load"),
        ({"Load": {}}, "Load is not a key of a plan; did you mean load?"),
        (
            {"workload": {"payload": 5}},
            "workload.payload: write a label, a file, or {lengths: D(1000)/(100)}, not 5",
        ),
        ({"workload": {"payload": "p", "stream": "maybe"}}, "workload.stream: write true or false, not"),
        ({"workload": {"payload": "p", "schema": "opanai"}}, "not 'opanai'; did you mean openai?"),
        (
            {"workload": {"payload": "p", "max_tokens": 5, "parameters": {"max_new_tokens": 7}}},
            "workload.max_tokens and workload.parameters.max_new_tokens set the same limit; keep one of them",
        ),
        ({"model": "llama"}, "model: write keys and values below it, not 'llama'"),
        ({"model": {"name": "m", "source": "hugginface"}}, "did you mean huggingface?"),
        ({"model": {"source": "local"}}, "model.name is needed"),
        ({"model": {"source": "endpoint"}}, "name it in endpoint.name"),
        (
            {"endpoint": {"name": "arn:aws:sagemaker:us-east-1:1:endpoint/mine"}},
            "give only the endpoint's name, mine",
        ),
        ({"endpoint": {"name": "my endpoint"}}, "endpoint.name: use up to 63 letters"),
        ({"endpoint": {"region": "us-east"}}, "endpoint.region: write a region's code, such as us-east-1"),
        (
            {"endpoint": {"components": [{"name": "c", "copy": 2}]}},
            "endpoint.components.0.copy is not a key of a plan; did you mean copies?",
        ),
        (
            {"endpoint": {"components": [{"name": "c", "model": {"name": "m", "sorce": "local"}}]}},
            "endpoint.components.0.model.sorce is not a key of a plan; did you mean source?",
        ),
        ({"slo": {"ttft_95": "1s"}}, "slo.ttft_95 is not known; did you mean ttft_p95?"),
        ({"slo": {"ttft_p95": "soon"}}, "slo.ttft_p95: write a duration"),
        ({"slo": {"ttft_p95": 800}}, "slo.ttft_p95: 800 s is longer than load.timeouts.total (500 s)"),
        ({"slo": {"tpot_p90": 50}}, "for milliseconds write 50ms"),
        ({"slo": {"error_rate": 1}}, "slo.error_rate: write a share below 1, such as 0.01 for 1%, not 1"),
        ({"slo": {"error_rate": "5%"}}, "slo.error_rate: write a share below 1"),
        ({"price": {"usd_per_hour": "$1.41"}}, "price.usd_per_hour: write a number, not '$1.41'"),
        ({"price": {"usd_per_hour": True}}, "price.usd_per_hour: write a number, not True"),
        (
            {"price": {"usd_per_hour": {"ml.g5.xlarge": "cheap"}}},
            "price.usd_per_hour.ml.g5.xlarge: write a number, not 'cheap'",
        ),
        ({"budget": {"max_spend_usd": float("inf")}}, "budget.max_spend_usd: write a finite number"),
        ({"name": 123}, "name: write text, in quotes if YAML would read a number, not 123"),
        ({"name": "small\n"}, "name: use up to 40 letters"),
        (
            {"model": {"name": "m", "source": "local", "env": {"HF MODEL": "x"}}},
            "is not a variable's name",
        ),
        ({"model": {"name": "m", "source": "local", "env": {"A": [1]}}}, "the variable A must be text"),
        (
            {"model": {"name": "m", "source": "local", "hub_token_env": "$HF_TOKEN"}},
            "model.hub_token_env: name the environment variable, without $",
        ),
        ({"endpoint": {"components": [{"name": "c", "accelerators": 0.5}]}}, "components.0.accelerators"),
        ({"endpoint": {"components": [{"name": "c", "cpus": 0.1}]}}, "components.0.cpus"),
        ({"endpoint": {"volume_gb": 513}}, "endpoint.volume_gb"),
        (
            {"endpoint": {"instance_type": ["ml.g5.xlarge", "ml.g5.xlarge"]}},
            "endpoint.instance_type: ml.g5.xlarge is named twice: name each type once",
        ),
        (
            {"model": {"name": "m", "source": "local", "env": {"A": None}}},
            'model.env: the variable A has no value: give it one ("" for an empty one)',
        ),
    ],
)
def test_a_mistake_names_file_key_and_remedy(
    tmp_path: Path, change: dict[str, object], expected: str
) -> None:
    path = write(tmp_path, SMALL | change)
    with pytest.raises(UserError) as caught:
        read_plan(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "expected"), [("a: [", "is not YAML"), ("- 1", "is not a mapping"), ("", "mapping")]
)
def test_what_is_no_plan_at_all_is_told(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        read_plan(write(tmp_path, text))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name: caf\xe9", "line 1 is not UTF-8; save the file as UTF-8"),
        ("name: x".encode("utf-16"), "line 1 is not UTF-8"),
        (b"x" * 1_100_000, "is larger than 1 MB"),
    ],
)
def test_a_file_that_is_not_a_plans_text(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "plan.yml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=expected):
        read_plan(path)


def test_a_folder_or_an_impossible_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder; name the plan's YAML file in it"):
        read_plan(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        read_plan(Path("a\0b"))


def test_a_byte_order_mark_and_carriage_returns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.yml"
    path.write_bytes(b"\xef\xbb\xbf" + yaml.safe_dump(SMALL).replace("\n", "\r\n").encode())
    assert read_plan(path).load.concurrency == (1, 2)


def test_variables_reach_the_container_as_they_are_written(tmp_path: Path) -> None:
    env = "{A: no, B: 010, C: true, D: 1:30, E: 2024-01-01, F: 4095}"
    plan = read_plan(write(tmp_path, yaml.safe_dump(SMALL).replace("name: m", f"name: m\n  env: {env}")))
    assert plan.model.env == {
        "A": "no", "B": "010", "C": "true", "D": "1:30", "E": "2024-01-01", "F": "4095",
    }  # fmt: skip


SECRETS: dict[str, dict[str, Any]] = {
    "model.env.GIT": {"model": {"env": {"GIT": "ghp_abcdefghijklmnopqrstuvwxyz0123456789"}}},
    "model.env.MY_PASS": {"model": {"env": {"MY_PASS": "tiger-sesame"}}},
    "model.env.SESSION": {"model": {"env": {"SESSION": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc"}}},
    "model.hub_token_env": {"model": {"hub_token_env": "hf_abcdefghijklmnopqrstu"}},
    "workload.parameters.headers.0": {
        "workload": {"parameters": {"headers": ["Bearer abcdefghijklmnop"]}}
    },
    "workload.parameters.extra.api_key": {"workload": {"parameters": {"extra": {"api_key": "tiger-sesame"}}}},
    "workload.parameters.apiKey": {"workload": {"parameters": {"apiKey": "tiger-sesame"}}},
    "endpoint.tags.token": {"endpoint": {"tags": {"token": "tiger-sesame"}}},
    "load": {"load": "sk-abcdefghijklmnopqrstuv"},
}  # fmt: skip


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_refused_by_its_key_and_never_shown(tmp_path: Path, key: str) -> None:
    content: dict[str, Any] = dict(SMALL)
    for section, change in SECRETS[key].items():
        before = content.get(section, {})
        content[section] = {**before, **change} if isinstance(change, dict) else change
    with pytest.raises(UserError, match=rf": {key} looks like a secret") as caught:
        read_plan(write(tmp_path, content))
    for value in ("ghp_", "sesame", "eyJ", "hf_a", "abcdefgh", "sk-"):
        assert value not in str(caught.value)


def test_a_secret_in_a_comment_is_refused_by_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, yaml.safe_dump(SMALL) + "# the old key: hf_abcdefghijklmnopqrstuv\n")
    with pytest.raises(UserError, match=r"line \d+ looks like a secret") as caught:
        read_plan(path)
    assert "hf_" not in str(caught.value)


def test_a_tokenizers_tokens_are_not_secrets(tmp_path: Path) -> None:
    workload = {
        "payload": "p",
        "parameters": {"stop_token": "</s>", "eos_token": "x", "skip_special_tokens": True},
    }
    assert (
        read_plan(write(tmp_path, SMALL | {"workload": workload})).workload.parameters["stop_token"] == "</s>"
    )


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such plan"):
        read_plan(tmp_path / "none.yml")


@given(st.floats(0, 1e6, allow_nan=False).map(lambda x: round(x, 3)))
def test_durations_agree_across_units(seconds: float) -> None:
    assert parse_seconds(f"{seconds:.3f}s") == pytest.approx(seconds)
    assert parse_seconds(f"{seconds * 1000:.3f}ms") == pytest.approx(seconds)
    assert parse_seconds(seconds) == seconds


@pytest.mark.parametrize("value", ["", "5", "s", "-1s", "1 hour", True, None, -1, float("nan"), float("inf")])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_seconds(value)


def test_steps_have_ids_of_their_own_even_when_a_level_returns() -> None:
    plan = Plan.model_validate(SMALL | {"load": {"concurrency": [1, 4, 1]}})
    assert [step.id for step in load_steps(plan.load, "x/y")] == ["x/y/c1", "x/y/c4", "x/y/c1#2"]


def test_experiments_are_named_by_what_tells_them_apart() -> None:
    payloads = [PayloadSpec(file="en_1-500"), PayloadSpec(file="here/payload_en_1-500.jsonl")]
    assert {experiment_name("ml.g5.xlarge", spec.label) for spec in payloads} == {"ml.g5.xlarge/en_1-500"}
    assert PayloadSpec(lengths="N(480,240) / (300, 150)").label == "N480_240_300_150"


@pytest.mark.parametrize(
    ("family", "workload", "schema"),
    [
        ("tgi", {}, "tgi"),
        ("lmi", {}, "lmi"),
        ("vllm", {}, "openai"),
        (None, {}, "openai"),
        ("lmi", {"schema": "tgi"}, "tgi"),
        ("tgi", {"route": "openai"}, "openai"),
    ],
)
def test_auto_schema_is_the_containers(
    family: Family | None, workload: dict[str, str], schema: WireSchema
) -> None:
    assert wire_schema(Workload.model_validate({"payload": "p"} | workload), family) == schema


@pytest.mark.parametrize(("schema", "name"), [("openai", "max_tokens"), ("tgi", "max_new_tokens")])
def test_the_longest_answer_has_the_schemas_name(schema: WireSchema, name: str) -> None:
    workload = Workload.model_validate({"payload": "p", "max_tokens": 5, "parameters": {"seed": 1}})
    assert request_parameters(workload, schema) == {name: 5, "seed": 1}
