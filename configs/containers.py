"""The family, request schema and model of a container, by its image and environment."""

import re
from collections.abc import Mapping
from typing import Any, Literal

Family = Literal["tgi", "lmi", "vllm", "sglang", "llama-cpp"]
WireSchema = Literal["tgi", "openai", "lmi", "completions", "embeddings", "raw"]

RUNNING_USAGE: frozenset[Family | None] = frozenset({"vllm", "sglang"})
"""Families that count tokens in every chunk if ``stream_options.continuous_usage_stats`` asks for it."""

_BY_REPOSITORY: Mapping[str, Family] = {
    "tgi": "tgi",
    "text-generation-inference": "tgi",
    "djl": "lmi",
    "lmi": "lmi",
    "vllm": "vllm",
    "sglang": "sglang",
    "llama": "llama-cpp",
}
"""A part of the repository's name → the family; the first match counts."""
_BY_VARIABLE: Mapping[str, Family] = {
    "SM_VLLM_": "vllm",
    "SM_SGLANG_": "sglang",
    "SM_LLAMA_CPP_": "llama-cpp",
    "OPTION_": "lmi",
    "MAX_INPUT_LENGTH": "tgi",
    "MAX_INPUT_TOKENS": "tgi",
    "MAX_TOTAL_TOKENS": "tgi",
}
"""Prefixes of a family's variables, for images with a custom name."""
_MODEL_VARIABLES = (
    "SM_VLLM_MODEL",
    "SM_SGLANG_MODEL_PATH",
    "SM_LLAMA_CPP_HF_REPO",
    "OPTION_MODEL_ID",
    "HF_MODEL_ID",
    "MODEL_ID",
)
_CONTEXT_VARIABLES = (
    "SM_VLLM_MAX_MODEL_LEN",
    "SM_SGLANG_CONTEXT_LENGTH",
    "SM_LLAMA_CPP_CTX_SIZE",
    "OPTION_MAX_MODEL_LEN",
    "MAX_TOTAL_TOKENS",
    "MAX_MODEL_LEN",
)


def family_of(image: str, environment: Mapping[str, str] | None = None) -> Family | None:
    """The family of a container: by its repository, else by its variables; None if neither matches."""
    repository = re.split("[:@]", image.rsplit("/", 1)[-1].lower())[0]
    for mark, family in _BY_REPOSITORY.items():
        if mark in repository:
            return family
    for prefix, family in _BY_VARIABLE.items():
        if any(name.startswith(prefix) for name in environment or {}):
            return family
    return None


def schema_of(family: Family | None) -> WireSchema:
    """The request schema of a family. The default is OpenAI's, as most servers support it."""
    return family if family in ("tgi", "lmi") else "openai"


def exact_output(family: Family | None, schema: WireSchema, tokens: int) -> dict[str, Any]:
    """Parameters that make an answer not end before its longest length; empty where the container has none.

    TGI has none. A family that is not known gets none, as it may refuse what it does not know.

    Args:
        family: of the container.
        schema: of the request.
        tokens: the length of the answer.
    """
    if schema == "lmi":
        return {"ignore_eos_token": True}
    if schema not in ("openai", "completions"):
        return {}
    match family:
        case "vllm" | "sglang":
            return {"ignore_eos": True, "min_tokens": tokens}
        case "lmi" | "llama-cpp":
            return {"ignore_eos": True}
        case _:
            return {}


def served_model_id(environment: Mapping[str, str]) -> str | None:
    """The model in a container's variables; None if there is none, or if it is a folder in the container."""
    values = (environment.get(name, "").strip() for name in _MODEL_VARIABLES)
    return next((value for value in values if value and not value.startswith(("/", "."))), None)


def context_length(environment: Mapping[str, str]) -> int | None:
    """The context length in tokens that a container's variables set; None if they set none."""
    values = (environment.get(name, "").strip() for name in _CONTEXT_VARIABLES)
    return next((int(value) for value in values if value.isdecimal() and int(value) > 0), None)
