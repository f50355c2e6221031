"""Validate inputs against botocore's service models, and encode outputs by them."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import botocore.loaders
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from emulator.errors import ApiError, validation_error

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
    "blob": (str,),
}
_CLASSES = (("\\p{L}", "\\w"), ("\\p{Z}", "\\s"), ("\\p{N}", "\\d"), ("\\p{M}", "\\w"))
"""Java's Unicode classes, and what stands for them in Python's ``re``."""


@lru_cache
def service_model(name: str) -> ServiceModel:
    """The installed botocore's model of a service, without the import of its clients."""
    description = botocore.loaders.create_loader().load_service_model(name, "service-2")
    return ServiceModel(description, name)


def operation_model(service: str, operation: str) -> OperationModel:
    """One operation of a service's model."""
    return service_model(service).operation_model(operation)


def check_input(shape: Shape | None, value: object) -> dict[str, Any]:
    """Validate a request's members as AWS would; give them with timestamps and blobs decoded.

    Raises:
        ApiError: a member is unknown or of the wrong type (``SerializationException``), or missing, out of
            range, too long, not matching the pattern or not in the enum (``ValidationException``).
    """
    members = {} if value is None else value
    if not isinstance(members, dict):
        raise ApiError("SerializationException", "Start of structure or map found where not expected.")
    if shape is None:
        return {}
    problems = list(_problems(shape, members, ""))
    if problems:
        count = len(problems)
        word = "error" if count == 1 else "errors"
        raise validation_error(f"{count} validation {word} detected: {'; '.join(problems)}")
    decoded: dict[str, Any] = _decode(shape, members)
    return decoded


def encode_output(shape: Shape | None, value: dict[str, Any]) -> Any:
    """Members of a response as JSON values: timestamps in epoch seconds, blobs in base64, without None.

    Raises:
        KeyError: the response has a member that its shape lacks: a bug of the emulator.
    """
    return _encode(shape, value) if shape is not None else {}


def _problems(shape: Shape, value: object, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield from _structure_problems(shape, value, path)
    elif isinstance(shape, ListShape):
        items = _expect(value, list, path)
        yield from _limits(shape, len(items), value, path, "length")
        for index, item in enumerate(items, 1):
            yield from _problems(shape.member, item, f"{path}.{index}.member")
    elif isinstance(shape, MapShape):
        entries = _expect(value, dict, path)
        yield from _limits(shape, len(entries), value, path, "length")
        for key, item in entries.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, item, f"{path}.{key}.member")
    else:
        yield from _scalar_problems(shape, value, path)


def _structure_problems(shape: StructureShape, value: object, path: str) -> Iterator[str]:
    members = _expect(value, dict, path)
    for name in members:
        if name not in shape.members:
            raise ApiError("SerializationException", f"Unknown member {name!r} in {shape.name}")
    for name in shape.required_members:
        if members.get(name) is None:
            yield _constraint(None, _join(path, name), "Member must not be null")
    for name, item in members.items():
        if item is not None:
            yield from _problems(shape.members[name], item, _join(path, name))


def _expect(value: object, kind: type, path: str) -> Any:
    if not isinstance(value, kind):
        raise ApiError("SerializationException", f"Expected a {kind.__name__} at '{path}'")
    return value


def _scalar_problems(shape: Shape, value: object, path: str) -> Iterator[str]:
    allowed = _TYPES[shape.type_name]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise ApiError("SerializationException", f"Expected a {shape.type_name} at '{path}'")
    if isinstance(value, str) and shape.type_name == "string":
        yield from _limits(shape, len(value), value, path, "length")
        if (options := shape.metadata.get("enum")) and value not in options:
            yield _constraint(value, path, f"Member must satisfy enum value set: [{', '.join(options)}]")
        if (pattern := shape.metadata.get("pattern")) and not compile_pattern(pattern).fullmatch(value):
            yield _constraint(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    elif isinstance(value, int | float):
        yield from _limits(shape, value, value, path, "value")


def _limits(shape: Shape, size: float, value: object, path: str, noun: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    tail = "" if noun == "value" else f" {noun}"
    if low is not None and size < low:
        yield _constraint(value, path, f"Member must have{tail or ' value'} greater than or equal to {low}")
    if high is not None and size > high:
        yield _constraint(value, path, f"Member must have{tail or ' value'} less than or equal to {high}")


def _constraint(value: object, path: str, rule: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"


def _join(path: str, name: str) -> str:
    camel = name[0].lower() + name[1:]
    return f"{path}.{camel}" if path else camel


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of a service model, compiled for Python."""
    for java, python in _CLASSES:
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def _decode(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {k: _decode(shape.members[k], v) for k, v in value.items() if v is not None}
    if isinstance(shape, ListShape):
        return [_decode(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {k: _decode(shape.value, v) for k, v in value.items()}
    if shape.type_name == "timestamp":
        return _timestamp(value)
    return base64.b64decode(value) if shape.type_name == "blob" else value


def _timestamp(value: float | str) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(value, UTC)


def _encode(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {k: _encode(shape.members[k], v) for k, v in value.items() if v is not None}
    if isinstance(shape, ListShape):
        return [_encode(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {k: _encode(shape.value, v) for k, v in value.items()}
    if isinstance(value, datetime):
        return value.timestamp()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
