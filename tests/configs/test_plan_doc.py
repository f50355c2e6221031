"""The schema, the reference and the shipped plans agree with the plan's models."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from configs.plan_doc import REFERENCE, SCHEMA, schema, schema_text, with_table

CONFIGS = SCHEMA.parent
REMEDY = "run: python -m configs.plan_doc"
SMALL: dict[str, Any] = {
    "name": "small",
    "model": {"name": "m", "source": "local"},
    "workload": {"payload": "en_50-100"},
    "load": {"concurrency": [1, 2]},
}


def errors(plan: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(plan)]


def test_the_written_schema_is_the_models_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), REMEDY


def test_the_written_reference_is_the_models_reference() -> None:
    written = REFERENCE.read_text(encoding="utf-8")
    assert written == with_table(written), REMEDY


def test_every_key_has_a_description() -> None:
    models = {"Plan": schema(), **schema()["$defs"]}
    bare = [
        f"{model}.{key}"
        for model, entry in models.items()
        for key, value in entry.get("properties", {}).items()
        if not value.get("description")
    ]
    assert bare == []


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yml")), ids=lambda p: p.name)
def test_a_shipped_plan_fits_the_schema_that_it_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA.name}"
    assert errors(yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"slo": {"ttft_p95": "800ms", "e2e_mean": 2, "error_rate": 0.05}},
        {"workload": {"payload": ["en_50-100", "en_1-2"], "schema": "openai", "parameters": {"top_p": 0.9}}},
        {"endpoint": {"instance_type": ["ml.g5.xlarge"], "max_lifetime": "2h", "startup_timeout": 600}},
        {"model": {"name": "m", "source": "image", "image": "vllm", "env": {"A": 1, "B": True, "C": "x"}}},
        {"endpoint": {"components": [{"name": "c", "copies": 2}]}},
        {"load": {"concurrency": [1], "warm_up": 0, "measure": "1.5 min", "timeouts": {"total": "60s"}}},
        {"price": {"usd_per_hour": {"ml.g5.xlarge": 1.4}}},
        {"price": {"usd_per_hour": 2}},
        {"workload": {"payload": "en_50-100", "sticky": True}},
        {"workload": {"payload": "en_50-100", "sticky": {"open": {"type": "start"}, "close": None}}},
    ],
)
def test_the_schema_takes_what_a_person_writes(change: dict[str, Any]) -> None:
    assert errors(SMALL | change) == []


@pytest.mark.parametrize(
    "change",
    [
        {"slo": {"ttft_p42": "1s"}},
        {"slo": {"objectives": []}},
        {"slo": {"ttft_p95": "soon"}},
        {"load": {"concurrency": []}},
        {"load": {"concurrency": [1], "measure": "2 days"}},
        {"workload": {"payload": "en_50-100", "request_schema": "openai"}},
        {"model": {"name": "m", "source": "elsewhere"}},
        {"workload": {"payload": "en_50-100", "sticky": {"start": {}}}},
        {"nmae": "x"},
    ],
)
def test_the_schema_refuses_what_the_plan_refuses(change: dict[str, Any]) -> None:
    assert errors(SMALL | change)


def test_the_schema_is_json() -> None:
    assert json.loads(schema_text())["title"] == "Plan"
