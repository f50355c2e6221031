"""Inputs against botocore's own models: walked over everything that is served."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

from emulator.app import OPERATIONS
from emulator.errors import ApiError
from emulator.shapes import check_input, compile_pattern, operation_model

SERVED = [(service, name) for service, operations in OPERATIONS.items() for name in operations]
_TEXTS = (
    "a",
    "arn:aws:sagemaker:us-east-1:123456789012:model/a",
    "arn:aws:iam::123456789012:role/a",
    "s3://bucket/key",
    "sg-12345678",
    "subnet-12345678",
    "1.0.0",
    "L-12345678",
    "12345678",
    "a" * 40,
    "arn:aws:sqs:us-east-1:123456789012:a",
    "123456789012",
    "arn:aws:states:us-east-1:123456789012:a/a",
    "a@a",
)


def walk(shape: Shape | None, seen: frozenset[str] = frozenset()) -> Iterator[Shape]:
    """A shape and all below it, each once."""
    if shape is None or shape.name in seen:
        return
    yield shape
    seen |= {shape.name}
    if isinstance(shape, StructureShape):
        for member in shape.members.values():
            yield from walk(member, seen)
    elif isinstance(shape, ListShape):
        yield from walk(shape.member, seen)
    elif isinstance(shape, MapShape):
        yield from walk(shape.value, seen)


def minimal(shape: Shape) -> Any:
    """The smallest value that a shape accepts: required members only."""
    if isinstance(shape, StructureShape):
        return {name: minimal(shape.members[name]) for name in shape.required_members}
    if isinstance(shape, ListShape):
        return [minimal(shape.member)] * shape.metadata.get("min", 0)
    if isinstance(shape, MapShape):
        return {}
    if shape.type_name == "string":
        return text(shape)
    if shape.type_name in ("boolean", "blob"):
        return False if shape.type_name == "boolean" else ""
    return max(shape.metadata.get("min", 0), 1)


def text(shape: Shape) -> str:
    if options := shape.metadata.get("enum"):
        return str(options[0])
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 1 << 30)
    for candidate in _TEXTS:
        fits = low <= len(candidate) <= high
        if fits and compile_pattern(shape.metadata.get("pattern", ".*")).fullmatch(candidate):
            return candidate
    raise AssertionError(f"no text for {shape.name}: {shape.metadata}")


@pytest.mark.parametrize(("service", "operation"), SERVED)
def test_every_pattern_of_what_is_served_can_be_read(service: str, operation: str) -> None:
    for shape in walk(operation_model(service, operation).input_shape):
        if pattern := shape.metadata.get("pattern"):
            assert isinstance(compile_pattern(pattern), re.Pattern)


@pytest.mark.parametrize(("service", "operation"), SERVED)
def test_the_smallest_request_passes_and_each_part_of_it_is_needed(service: str, operation: str) -> None:
    shape = operation_model(service, operation).input_shape
    if shape is None:
        return
    request = minimal(shape)
    check_input(shape, request)
    assert not ParamValidator().validate(request, shape).has_errors()
    for name in shape.required_members:
        with pytest.raises(
            ApiError, match=f"at '{name[0].lower()}{name[1:]}' .*Member must not be null"
        ) as error:
            check_input(shape, {key: value for key, value in request.items() if key != name})
        assert error.value.code == "ValidationException"


@pytest.mark.parametrize(("service", "operation"), SERVED)
def test_unknown_members_and_wrong_types_are_refused(service: str, operation: str) -> None:
    shape = operation_model(service, operation).input_shape
    if shape is None:
        return
    request = minimal(shape)
    with pytest.raises(ApiError) as error:
        check_input(shape, {**request, "NoSuchMember": 1})
    assert error.value.code == "SerializationException"
    for name, member in shape.members.items():
        wrong: Any = 1.5j if member.type_name != "structure" else "text"
        with pytest.raises(ApiError) as error:
            check_input(shape, {**request, name: wrong})
        assert error.value.code == "SerializationException"


def test_limits_are_counted_and_named_together() -> None:
    shape = operation_model("sagemaker", "ListModels").input_shape
    with pytest.raises(ApiError) as error:
        check_input(shape, {"MaxResults": 101, "SortBy": "Colour"})
    assert str(error.value) == (
        "2 validation errors detected: Value '101' at 'maxResults' failed to satisfy constraint: Member must "
        "have value less than or equal to 100; Value 'Colour' at 'sortBy' failed to satisfy constraint: "
        "Member must satisfy enum value set: [Name, CreationTime]"
    )
