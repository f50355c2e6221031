"""A plan is short to write, and every mistake in it is one sentence with file, key and remedy."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.durations import parse_seconds
from configs.errors import UserError
from configs.experiment import experiment_name, payload_label, plan_steps, wire_schema
from configs.loading import load_plan
from configs.plan import Plan

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
    assert load_plan(path).load.concurrency


def test_a_short_plan_gets_defaults(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, SMALL))
    assert plan.workload.payload == ("en_50-100",)
    assert plan.load.timeouts.first_byte == 70
    assert plan.slo.objectives == ()


def test_durations_and_objectives_are_read(tmp_path: Path) -> None:
    slo = {"ttft_p95": "800ms", "e2e_mean": 2, "error_rate": 0.05}
    plan = load_plan(write(tmp_path, SMALL | {"slo": slo}))
    assert [(o.key, o.limit_ms) for o in plan.slo.objectives] == [("ttft_p95", 800), ("e2e_mean", 2000)]
    assert plan.slo.error_rate == 0.05


def test_overrides_reach_into_the_plan(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, SMALL), {"endpoint.instance_type": "ml.g5.2xlarge"})
    assert plan.endpoint.instance_type == ("ml.g5.2xlarge",)


@pytest.mark.parametrize(
    ("change", "told"),
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
def test_a_mistake_names_file_key_and_remedy(tmp_path: Path, change: dict[str, object], told: str) -> None:
    path = write(tmp_path, SMALL | change)
    with pytest.raises(UserError) as caught:
        load_plan(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "told"), [("a: [", "is not YAML"), ("- 1", "a plan is a mapping"), ("", "mapping")]
)
def test_what_is_no_plan_at_all_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_plan(write(tmp_path, text))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such plan"):
        load_plan(tmp_path / "none.yml")


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
    assert [step.id for step in plan_steps(plan, "x/y")] == ["x/y/c1", "x/y/c4", "x/y/c1#2"]


def test_experiments_are_named_by_what_tells_them_apart() -> None:
    assert payload_label("payload_en_1000-2000.jsonl") == payload_label("en_1000-2000") == "en_1000-2000"
    assert experiment_name("ml.g5.xlarge", "payload_en_1-500.jsonl") == "ml.g5.xlarge/en_1-500"


@pytest.mark.parametrize(
    ("model", "workload", "schema"),
    [
        ({"source": "jumpstart", "id": "x"}, {}, "tgi"),
        ({"source": "image", "image": "djl-inference:0.38"}, {}, "lmi"),
        ({"source": "image", "image": "vllm:0.30"}, {}, "openai"),
        ({"source": "image", "image": "huggingface-pytorch-tgi-inference:2"}, {}, "tgi"),
        ({"source": "image", "image": "djl-inference:0.38"}, {"schema": "tgi"}, "tgi"),
        ({"source": "jumpstart", "id": "x"}, {"route": "openai"}, "openai"),
    ],
)
def test_auto_schema_is_the_containers(model: dict[str, str], workload: dict[str, str], schema: str) -> None:
    plan = Plan.model_validate(
        SMALL | {"model": {"name": "m"} | model, "workload": {"payload": "p"} | workload}
    )
    assert wire_schema(plan) == schema
