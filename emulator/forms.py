"""Forms and XML of the protocols query and ec2, by the shapes of botocore's models."""

from collections.abc import Mapping
from datetime import datetime
from itertools import count, takewhile
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import ListShape, Shape, StructureShape

_WHOLE = ("integer", "long")


def read_form(shape: Shape | None, fields: Mapping[str, str]) -> dict[str, Any]:
    """Members of a form. The fields of nested ones are paths: ``Tags.member.1.Key`` (in ec2 ``Tag.1.Key``).

    Fields that the shape lacks are kept, for the validation to refuse.
    """
    if not isinstance(shape, StructureShape):
        return dict(fields)
    known = {_field(name, member) for name, member in shape.members.items()}
    unknown = {key: value for key, value in fields.items() if key.partition(".")[0] not in known}
    return {**(_read(shape, fields, "") or {}), **unknown}


def _field(name: str, member: Shape) -> str:
    """The name of a member in a form."""
    of_ec2 = member.serialization.get("queryName")
    wire: str = of_ec2 or member.serialization.get("name", name)
    return wire[0].upper() + wire[1:]


def _read(shape: Shape, fields: Mapping[str, str], path: str) -> Any:
    """The value at a path; None where the form has none."""
    if isinstance(shape, StructureShape):
        start = f"{path}." if path else ""
        members = {
            name: _read(member, fields, f"{start}{_field(name, member)}")
            for name, member in shape.members.items()
        }
        return {name: value for name, value in members.items() if value is not None} or None
    if isinstance(shape, ListShape):
        numbered = f"{path}.member" if any(key.startswith(f"{path}.member.") for key in fields) else path
        items = (_read(shape.member, fields, f"{numbered}.{number}") for number in count(1))
        return list(takewhile(lambda item: item is not None, items)) or None
    text = fields.get(path)
    if text is None:
        return None
    if shape.type_name == "boolean":
        return text == "true"
    return int(text) if shape.type_name in _WHOLE and text.lstrip("-").isdigit() else text


def write_xml(shape: Shape | None, value: Any) -> str:
    """Members of a response as XML."""
    if isinstance(shape, StructureShape):
        return "".join(
            _element(
                shape.members[name].serialization.get("name", name), write_xml(shape.members[name], item)
            )
            for name, item in value.items()
            if item is not None
        )
    if isinstance(shape, ListShape):
        name = shape.member.serialization.get("name", "member")
        return "".join(_element(name, write_xml(shape.member, item)) for item in value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


def _element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"
