"""What a model server speaks and serves, by its image and its environment: one rule for all packages."""

import re
from collections.abc import Mapping
from typing import Literal

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
"""A part of the repository's name → the family; the first that fits."""
_BY_VARIABLE: Mapping[str, Family] = {
    "SM_VLLM_": "vllm",
    "SM_SGLANG_": "sglang",
    "SM_LLAMA_CPP_": "llama-cpp",
    "OPTION_": "lmi",
    "MAX_INPUT_LENGTH": "tgi",
    "MAX_INPUT_TOKENS": "tgi",
    "MAX_TOTAL_TOKENS": "tgi",
}
"""How the variables of a family begin: for an image under a name of one's own."""
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
    """The family of a container: by its repository, else by its variables; None where neither tells."""
    repository = re.split("[:@]", image.rsplit("/", 1)[-1].lower())[0]
    for mark, family in _BY_REPOSITORY.items():
        if mark in repository:
            return family
    for prefix, family in _BY_VARIABLE.items():
        if any(name.startswith(prefix) for name in environment or {}):
            return family
    return None


def schema_of(family: Family | None) -> WireSchema:
    """The request schema of a family. What is not known is taken to speak OpenAI's, as most servers do."""
    return family if family in ("tgi", "lmi") else "openai"


def served_model_id(environment: Mapping[str, str]) -> str | None:
    """The model that a container's variables name; None where they name none, or a folder inside of it."""
    values = (environment.get(name, "").strip() for name in _MODEL_VARIABLES)
    return next((value for value in values if value and not value.startswith(("/", "."))), None)


def context_length(environment: Mapping[str, str]) -> int | None:
    """The context, in tokens, that a container's variables set; None where they set none."""
    values = (environment.get(name, "").strip() for name in _CONTEXT_VARIABLES)
    return next((int(value) for value in values if value.isdecimal() and int(value) > 0), None)
