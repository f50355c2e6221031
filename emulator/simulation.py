"""What a simulated container is told, read from ``profiles/*.yml`` and from the variables of its model.

- ``SIMULATED_PROFILE`` is a name under ``profiles/`` or a path; ``SIMULATED_<KEY>`` overrides single values.
- ``SIMULATED_FAMILY`` is the schema: tgi, lmi or openai. The default is that of the image or its variables.
- ``SIMULATED_TOKENIZER`` is the path of a ``tokenizer.json`` that counts prompt tokens, or ``words`` to count
  words. The default is the tokenizer of `emulator.model` if it has been prepared, else words.
- ``SIMULATED_LOG`` is a file that gets one JSON line per request with its true times.
- ``SIMULATED_FAULT`` is a fault of every request: `emulator.containers.simulated`.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from common.errors import UserError
from common.paths import models_folder
from configs.containers import Family, family_of, schema_of
from emulator.containers.profile import GpuProfile, Simulation
from emulator.containers.schemas import SCHEMAS, Schema
from emulator.model import TOKENIZER

FOLDER = Path(__file__).resolve().parent / "profiles"
_PREFIX = "SIMULATED_"
_STANDARD = ("SAGEMAKER_ENABLE_STATEFUL_SESSIONS", "false", "SAGEMAKER_SESSIONS_EXPIRATION")
_SESSIONS: Mapping[Family | None, tuple[str, str, str]] = {
    "lmi": ("OPTION_ENABLE_STATEFUL_SESSIONS", "true", "OPTION_SESSIONS_EXPIRATION"),
    "vllm": _STANDARD,
    "sglang": _STANDARD,
}
"""The variable that enables stateful sessions, its default, and the variable of their lifetime in seconds."""
_SESSION_S = 1200.0
_PROFILE: TypeAdapter[GpuProfile] = TypeAdapter(GpuProfile)


def choose_simulation(instance_type: str, image: str, environment: Mapping[str, str]) -> Simulation:
    """What the container of ``image`` is told.

    Args:
        instance_type: what it runs on.
        image: what it stands in for.
        environment: the variables of the model.

    Raises:
        UserError: a variable is invalid.
    """
    return Simulation(
        choose_profile(instance_type, image, environment),
        _schema(image, environment),
        _tokenizer(environment),
        environment.get("SIMULATED_FAULT", ""),
        environment.get("SIMULATED_LOG"),
        _session_seconds(image, environment),
    )


def choose_profile(instance_type: str, image: str, environment: Mapping[str, str]) -> GpuProfile:
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
        field.name: _value(_PREFIX + field.name.upper(), environment)
        for field in fields(GpuProfile)
        if _PREFIX + field.name.upper() in environment
    }
    try:
        return _PROFILE.validate_python(asdict(base) | overrides)
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
    for profile in _shipped().values():
        if any(re.search(pattern, subject, re.IGNORECASE) for pattern in profile.matches):
            return profile
    return _shipped()["generic"]


@cache
def _shipped() -> dict[str, GpuProfile]:
    return {path.stem: _load(path) for path in sorted(FOLDER.glob("*.yml"))}


def _load(path: Path) -> GpuProfile:
    try:
        return _PROFILE.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        names = ", ".join(shipped.stem for shipped in sorted(FOLDER.glob("*.yml")))
        raise UserError(
            f"profile {path} cannot be read: {error.strerror or error}", f"name a file, or one of {names}"
        ) from None
    except (yaml.YAMLError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not a profile of the simulated container: {reason}") from None


def _schema(image: str, environment: Mapping[str, str]) -> Schema:
    setting = environment.get("SIMULATED_FAMILY") or schema_of(family_of(image, environment))
    for schema in SCHEMAS:
        if schema == setting:
            return schema
    raise UserError(f"SIMULATED_FAMILY: unknown family {setting!r}", f"choose one of {', '.join(SCHEMAS)}")


def _session_seconds(image: str, environment: Mapping[str, str]) -> float | None:
    """How long a session is open: LMI opens them by default, vLLM and SGLang on request, TGI never."""
    family = family_of(image, environment)
    if family not in _SESSIONS:
        return None
    enabled, default, seconds = _SESSIONS[family]
    if environment.get(enabled, default).lower() != "true":
        return None
    try:
        return float(environment.get(seconds, _SESSION_S))
    except ValueError:
        raise UserError(
            f"{seconds}={environment[seconds]} is not a number of seconds", "correct the value"
        ) from None


def _tokenizer(environment: Mapping[str, str]) -> str | None:
    setting = environment.get("SIMULATED_TOKENIZER")
    if setting == "words":
        return None
    if setting:
        if not Path(setting).exists():
            raise UserError(
                f"SIMULATED_TOKENIZER: {setting} does not exist", "name a tokenizer.json, or write words"
            )
        return str(Path(setting).absolute())
    prepared = models_folder() / TOKENIZER
    return str(prepared) if prepared.exists() else None
