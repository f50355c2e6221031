"""One rule says which family a container is of, what it serves and how it is asked."""

import pytest

from configs.containers import (
    Family,
    WireSchema,
    context_length,
    exact_output,
    family_of,
    schema_of,
    served_model_id,
)

ECR = "763104351884.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("image", "environment", "family"),
    [
        (f"{ECR}/huggingface-pytorch-tgi-inference:2.0.1-tgi1.1.0-gpu", {}, "tgi"),
        ("ghcr.io/huggingface/text-generation-inference:3", {}, "tgi"),
        (f"{ECR}/djl-inference:0.38.0-lmi29.0.0-cu130", {}, "lmi"),
        (f"{ECR}/vllm:0.30.0-gpu-py312", {}, "vllm"),
        (f"{ECR}/sglang:0.6", {}, "sglang"),
        (f"{ECR}/llama-cpp:server-sagemaker-cpu-v1.0.1", {}, "llama-cpp"),
        (f"{ECR}/VLLM@sha256:{'0' * 64}", {}, "vllm"),
        (f"{ECR}/mine:tgi", {}, None),
        (f"{ECR}/mine:1", {"SM_VLLM_MODEL": "a/b"}, "vllm"),
        (f"{ECR}/mine:1", {"OPTION_MODEL_ID": "a/b"}, "lmi"),
        (f"{ECR}/mine:1", {"HF_MODEL_ID": "a/b", "MAX_TOTAL_TOKENS": "4096"}, "tgi"),
        (f"{ECR}/mine:1", {"HF_MODEL_ID": "a/b"}, None),
    ],
)
def test_the_family_is_read_from_repository_or_variables(
    image: str, environment: dict[str, str], family: Family | None
) -> None:
    assert family_of(image, environment) == family


@pytest.mark.parametrize(
    ("family", "schema"),
    [("tgi", "tgi"), ("lmi", "lmi"), ("vllm", "openai"), ("llama-cpp", "openai"), (None, "openai")],
)
def test_each_family_has_its_schema(family: Family | None, schema: str) -> None:
    assert schema_of(family) == schema


@pytest.mark.parametrize(
    ("environment", "model"),
    [
        ({"HF_MODEL_ID": "meta-llama/Llama-3.1-8B"}, "meta-llama/Llama-3.1-8B"),
        ({"SM_VLLM_MODEL": "a/b", "HF_MODEL_ID": "c/d"}, "a/b"),
        ({"OPTION_MODEL_ID": "s3://bucket/model/"}, "s3://bucket/model/"),
        ({"HF_MODEL_ID": "/opt/ml/model"}, None),
        ({"HF_MODEL_ID": " "}, None),
        ({}, None),
    ],
)
def test_the_model_is_what_the_variables_name(environment: dict[str, str], model: str | None) -> None:
    assert served_model_id(environment) == model


@pytest.mark.parametrize(
    ("environment", "tokens"),
    [
        ({"SM_VLLM_MAX_MODEL_LEN": "8192"}, 8192),
        ({"MAX_TOTAL_TOKENS": "4096"}, 4096),
        ({"MAX_MODEL_LEN": "auto"}, None),
    ],
)
def test_the_context_is_what_the_variables_set(environment: dict[str, str], tokens: int | None) -> None:
    assert context_length(environment) == tokens


@pytest.mark.parametrize(
    ("family", "schema", "parameters"),
    [
        ("vllm", "openai", {"ignore_eos": True, "min_tokens": 7}),
        ("sglang", "completions", {"ignore_eos": True, "min_tokens": 7}),
        ("llama-cpp", "openai", {"ignore_eos": True}),
        ("lmi", "lmi", {"ignore_eos_token": True}),
        ("lmi", "openai", {"ignore_eos": True}),
        ("tgi", "tgi", {}),
        (None, "openai", {}),
        ("vllm", "embeddings", {}),
    ],
)
def test_an_answer_is_kept_from_ending_early_where_the_container_can(
    family: Family | None, schema: WireSchema, parameters: dict[str, object]
) -> None:
    assert exact_output(family, schema, 7) == parameters
