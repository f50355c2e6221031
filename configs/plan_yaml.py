"""The YAML of a plan: values as written, each key once, and a limit on the expanded size."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

_DEPTH = 50
_NODES = 10_000


class PlanYamlError(Exception):
    """The text is not valid YAML for a plan; the message is one sentence with the line."""


class _PlanLoader(yaml.SafeLoader):
    """Reads scalars by YAML 1.2's core schema.

    YAML 1.1 turns ``no`` into false, ``010`` into 8, ``1:30`` into 90 and a date into an object: an
    environment variable would reach the container with another value than the one in the file.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own form


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _PlanLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )


def read_plan_yaml(text: str) -> Any:
    """Read one YAML document.

    Raises:
        PlanYamlError: it is not YAML, a key is given twice, or it is too large or nested too deeply.
    """
    try:
        _check_events(yaml.parse(text, Loader=_PlanLoader))
        return yaml.load(text, Loader=_PlanLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else "the file"
        problem = error.problem or error.context or "it cannot be read"
        if problem.startswith("but ") and error.context:
            problem = f"{error.context}, {problem}"
        hint = "; indent with spaces, not tabs" if "'\\t'" in problem else ""
        raise PlanYamlError(f"{where} is not YAML: {problem}{hint}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise PlanYamlError(f"line {line} holds the control character {error.character:#04x}") from None
    except ValueError:
        raise PlanYamlError("a value does not fit its type, or is a number of thousands of digits") from None


@dataclass
class _Size:
    """The size of a value with all its aliases expanded."""

    nodes: int = 1
    depth: int = 1


@dataclass
class _Level:
    """A list or mapping that is not yet complete."""

    anchor: str | None = None
    lines: dict[str, int] | None = None
    """The line of each key of a mapping; None for a list."""
    key: str = ""
    children: int = 0
    size: _Size = field(default_factory=_Size)

    @property
    def expects_key(self) -> bool:
        return self.lines is not None and self.children % 2 == 0


class _Census:
    """Counts the values of a document with all aliases expanded, and checks its keys."""

    def __init__(self) -> None:
        self._levels = [_Level()]
        self._anchors: dict[str, _Size] = {}

    def open(self, anchor: str | None, *, mapping: bool, line: int) -> None:
        self._levels.append(_Level(anchor, {} if mapping else None))
        self._check_depth(0, line)

    def close(self, line: int) -> None:
        level = self._levels.pop()
        self._add(level.size, level.anchor, line)

    def scalar(self, text: str, anchor: str | None, line: int) -> None:
        level = self._levels[-1]
        if level.lines is not None and level.expects_key:
            level.key = text
            if text in level.lines:
                path = ".".join(level.key for level in self._levels if level.key)
                first = level.lines[text]
                where = f"lines {first} and {line}" if first != line else f"line {line}"
                raise PlanYamlError(f"{path} is given twice, in {where}; keep one of them")
            level.lines[text] = line
        self._add(_Size(), anchor, line)

    def alias(self, anchor: str | None, line: int) -> None:
        if anchor is None or anchor not in self._anchors:
            raise PlanYamlError(f"line {line}: *{anchor} refers to no finished value above it")
        self._add(self._anchors[anchor], None, line)

    def _add(self, size: _Size, anchor: str | None, line: int) -> None:
        if anchor:
            self._anchors[anchor] = size
        level = self._levels[-1]
        level.children += 1
        level.size.nodes += size.nodes
        level.size.depth = max(level.size.depth, size.depth + 1)
        self._check_depth(size.depth, line)
        if level.size.nodes > _NODES:
            raise PlanYamlError(f"line {line}: a plan has at most {_NODES:,} values, with aliases expanded")

    def _check_depth(self, depth: int, line: int) -> None:
        if len(self._levels) + depth > _DEPTH:
            raise PlanYamlError(f"line {line}: a plan is nested at most {_DEPTH} levels deep")


def _check_events(events: Iterator[yaml.Event]) -> None:
    """Refuse repeated keys and documents that are too large. The parser's events need no recursion."""
    census = _Census()
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.CollectionStartEvent):
            census.open(event.anchor, mapping=isinstance(event, yaml.MappingStartEvent), line=line)
        elif isinstance(event, yaml.CollectionEndEvent):
            census.close(line)
        elif isinstance(event, yaml.AliasEvent):
            census.alias(event.anchor, line)
        elif isinstance(event, yaml.ScalarEvent):
            census.scalar(event.value, event.anchor, line)
