"""The parameters of the simulated GPU, read from ``profiles/*.yml`` and overridden by variables."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import UserError

FOLDER = Path(__file__).resolve().parents[1] / "profiles"
_PREFIX = "SIMULATED_"


class LengthMode(BaseModel):
    """One mode of the answer lengths: a ``share`` of the answers, uniform over ``[low, high]`` tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: Annotated[float, Field(gt=0, le=1)]
    low: Annotated[int, Field(ge=1)]
    high: Annotated[int, Field(ge=1)]


class GpuProfile(BaseModel):
    """How the simulated GPU behaves. Times in milliseconds or seconds as named, lengths in tokens.

    Prefill of n tokens takes ``prefill_ms + n / prefill_tokens_per_s``; a decode step of b streams takes
    ``decode_ms + decode_ms_per_stream * (b - 1)``. Prefill and decode share the GPU, as without chunking.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = ""
    matches: tuple[str, ...] = ()
    """Regular expressions for ``<instance type> <image> <model>``; the first profile that matches is used."""
    boot_seconds: Annotated[float, Field(ge=0)] = 0.3
    prefill_ms: Annotated[float, Field(ge=0)] = 10.0
    prefill_tokens_per_s: Annotated[float, Field(gt=0)] = 10_000.0
    decode_ms: Annotated[float, Field(gt=0)] = 20.0
    decode_ms_per_stream: Annotated[float, Field(ge=0)] = 0.25
    slots: Annotated[int, Field(ge=1)] = 64
    queue_limit: Annotated[int, Field(ge=0)] = 1_000
    """Requests beyond ``slots`` that may wait; further ones get the status ``queue_full_status``."""
    queue_full_status: Literal[429, 503] = 429
    kv_tokens: Annotated[int, Field(ge=1)] = 200_000
    """Prompt and answer tokens that fit in the cache at once; requests that do not fit wait."""
    context_tokens: Annotated[int, Field(ge=1)] = 8_192
    answers: tuple[LengthMode, ...] = (LengthMode(share=1.0, low=200, high=400),)
    seed: int = 0


def choose_profile(instance_type: str, image: str, environment: Mapping[str, str] = os.environ) -> GpuProfile:
    """The profile of a container; ``SIMULATED_<KEY>`` overrides single values, each written as YAML.

    Raises:
        UserError: SIMULATED_PROFILE does not name a profile, or a value is invalid.
    """
    name_or_path = environment.get(f"{_PREFIX}PROFILE")
    base = (
        _load(_path(name_or_path))
        if name_or_path
        else _matching(f"{instance_type} {image} {_model(environment)}")
    )
    overrides = {
        name: _value(_PREFIX + name.upper(), environment)
        for name in GpuProfile.model_fields
        if _PREFIX + name.upper() in environment
    }
    try:
        return GpuProfile.model_validate(base.model_dump() | overrides)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(
            f"{_PREFIX}{str(first['loc'][0]).upper()}: {first['msg']}", "correct the value"
        ) from None


def _value(name: str, environment: Mapping[str, str]) -> object:
    try:
        return yaml.safe_load(environment[name])
    except yaml.YAMLError:
        raise UserError(f"{name}={environment[name]} is not valid YAML", "correct the value") from None


def _model(environment: Mapping[str, str]) -> str:
    names = ("HF_MODEL_ID", "SM_VLLM_MODEL", "OPTION_MODEL_ID", "SIMULATED_MODEL")
    return " ".join(environment[name] for name in names if name in environment)


def _path(name_or_path: str) -> Path:
    shipped = FOLDER / f"{name_or_path}.yml"
    return shipped if shipped.exists() else Path(name_or_path)


def _matching(subject: str) -> GpuProfile:
    for path in sorted(FOLDER.glob("*.yml")):
        profile = _load(path)
        if any(re.search(pattern, subject, re.IGNORECASE) for pattern in profile.matches):
            return profile
    return _load(FOLDER / "generic.yml")


def _load(path: Path) -> GpuProfile:
    try:
        return GpuProfile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        names = ", ".join(shipped.stem for shipped in sorted(FOLDER.glob("*.yml")))
        raise UserError(
            f"profile {path} cannot be read: {error.strerror or error}", f"name a file, or one of {names}"
        ) from None
    except (yaml.YAMLError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not a profile of the simulated container: {reason}") from None
