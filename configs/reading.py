"""Read a plan from YAML. A mistake becomes one sentence with the file, the key and the remedy."""

import difflib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from common.errors import UserError
from common.text import one_line
from configs.plan import Plan
from configs.plan_yaml import PlanYamlError, read_plan_yaml
from configs.secrets import find_secret, line_with_secret, redacted

_LARGEST = 1_000_000
_SHOWN = 60


def read_plan(path: Path, overrides: dict[str, Any] | None = None, *, search: bool = False) -> Plan:
    """Read and validate the plan at ``path``.

    Args:
        path: a YAML file.
        overrides: dotted keys that replace the file's, e.g. ``{"endpoint.instance_type": "ml.g5.xlarge"}``.
        search: search between the plan's lowest and highest level, in place of its list of steps.

    Raises:
        UserError: the file cannot be read, is not YAML, holds a secret, has a wrong key or value, or has no
            levels or no SLO for the search.
    """
    text = _read_text(path)
    try:
        content = read_plan_yaml(text)
    except PlanYamlError as error:
        raise UserError(f"{path}: {one_line(str(error))}") from None
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: is not a mapping", "write the keys of a plan (name, model, workload, load, …)"
        )
    _refuse_secrets(path, text, content)
    for dotted, value in (overrides or {}).items():
        _set(content, dotted.split("."), value)
    plan = _validated(path, content)
    return _searched(path, plan) if search and plan.load.search is None else plan


def _validated(path: Path, content: dict[str, Any]) -> Plan:
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        finding, remedy = _first_mistake(error)
        raise UserError(f"{path}: {one_line(finding)}", one_line(remedy)) from None


def _searched(path: Path, plan: Plan) -> Plan:
    """The plan with a search from its lowest to its highest level."""
    load = plan.load
    over, levels = ("concurrency", load.concurrency) if load.concurrency else ("rate", load.rate)
    if not levels:
        raise UserError(
            f"{path}: load has no levels that could be searched",
            "list a concurrency or a rate, or write load.search",
        )
    lowest, highest = min(levels), max(levels)
    if lowest == highest:
        raise UserError(
            f"{path}: load.{over} has one level, and a search needs a range",
            "list its lowest and its highest level, or write load.search",
        )
    content = plan.model_dump(by_alias=True, exclude_unset=True)
    for key in ("concurrency", "rate", "min_requests"):
        content["load"].pop(key, None)
    content["load"] |= {
        "search": {"over": over, "from": lowest, "to": highest},
        "measure": load.measure_s,
    }
    return _validated(path, content)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such plan", "`ls configs/*.yml` lists the plans of the suite") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder", "name the plan's YAML file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason})", "name another file") from None
    if len(content) > _LARGEST:
        raise UserError(f"{path}: is larger than {_LARGEST / 1e6:.0f} MB", "name another file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}: line {line} is not UTF-8", "save the file as UTF-8") from None


def _refuse_secrets(path: Path, text: str, content: dict[str, Any]) -> None:
    """Refuse a file with a secret, also in a comment: the run folder gets an unchanged copy of the file."""
    place = find_secret(content)
    if place is None and (line := line_with_secret(text)):
        place = f"line {line}"
    if place:
        raise UserError(
            f"{path}: {place} looks like a secret, and a plan is kept with its results",
            "take it out (a gated model's token: export it and name the variable in model.hub_token_env, or "
            "use model.hub_token_secret)",
        )


def _set(content: dict[str, Any], keys: list[str], value: object) -> None:
    for key in keys[:-1]:
        inner = content.setdefault(key, {})
        if not isinstance(inner, dict):
            return  # validation names the mistake
        content = inner
    content[keys[-1]] = value


_REMEDIES: Mapping[str, str] = {
    "tuple_type": "write a list, such as [{example}]",
    "list_type": "write a list, such as [{example}]",
    "dict_type": "write keys and values below it",
    "model_type": "write keys and values below it",
    "string_type": "write text, in quotes if YAML would read a number",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_parsing_size": "write a smaller whole number",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "finite_number": "write a finite number",
    "too_short": "write {least} or more values",
}
"""pydantic's types of mistakes, each with a remedy."""


_PHRASES = (
    ("Value error, ", ""),
    ("Input should be", "must be"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
    ("greater than", "more than"),
)
"""pydantic's phrases, each with the one in our messages."""


def _first_mistake(error: ValidationError) -> tuple[str, str]:
    """The finding and the remedy of the mistake that explains the others; some findings need no remedy."""
    every = error.errors(include_url=False)
    places = [mistake["loc"] for mistake in every]
    # A mistake inside a value explains the mistake of the whole value.
    mistakes = [m for m in every if not any(place[: len(m["loc"])] == m["loc"] != place for place in places)]
    # A misspelt key explains a missing one. Of the branches of a union, the deepest was meant.
    first = min(mistakes, key=lambda mistake: (mistake["type"] != "extra_forbidden", -len(mistake["loc"])))
    key = ".".join(_named(first))
    remedy = ""
    if first["type"] == "extra_forbidden":
        finding, remedy = f"{key} is not a key of a plan", _suggestion(first["loc"])
    elif first["type"] == "missing":
        finding = f"{key} is missing"
    else:
        advice = _advice(first)
        named = advice if not key or advice.startswith(f"{key}.") else f"{key}: {advice}"
        finding, remedy = f"{named}{_shown(first['input'])}", _intended(first)
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    return (finding, remedy + more) if remedy else (finding + more, "")


def _named(mistake: ErrorDetails) -> list[str]:
    """The keys that lead to a mistake, without the branches of a union that pydantic adds."""
    return [str(part) for part in mistake["loc"] if not isinstance(part, str) or "[" not in part]


def _advice(mistake: ErrorDetails) -> str:
    if mistake["type"] in _REMEDIES:
        value = mistake["input"]
        example = value if isinstance(value, str | int | float) else "1, 2, 4"
        least = mistake.get("ctx", {}).get("min_length")
        return _REMEDIES[mistake["type"]].format(example=_short(example), least=least)
    message = mistake["msg"]
    for theirs, ours in _PHRASES:
        message = message.replace(theirs, ours)
    return message[0].lower() + message[1:]


def _intended(mistake: ErrorDetails) -> str:
    """A suggestion: the nearest of the allowed values."""
    if mistake["type"] != "literal_error":
        return ""
    known = str(mistake["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
    return _did_you_mean(str(mistake["input"]), known)


def _shown(value: object) -> str:
    return "" if isinstance(value, dict | list | tuple | Plan) else f", not {_short(value)!r}"


def _short(value: object) -> object:
    text = str(redacted(str(value)))
    if len(text) > _SHOWN:
        return f"{text[:_SHOWN]}…"
    return text if isinstance(value, str) else value


def _suggestion(location: tuple[int | str, ...]) -> str:
    model: type[BaseModel] = Plan
    for part in location[:-1]:
        if isinstance(part, int) or "[" in part:  # a place in a list, or the branch of a union
            continue
        field = model.model_fields.get(str(part)) or next(
            (field for field in model.model_fields.values() if field.alias == part), None
        )
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return ""
        model = inner
    known = [field.alias or name for name, field in model.model_fields.items()]
    hint = _did_you_mean(str(location[-1]), known)
    if hint:
        return hint
    elsewhere = _place_of(str(location[-1]), Plan)
    return f"it belongs under {elsewhere}" if elsewhere else f"its keys are {', '.join(known)}"


def _did_you_mean(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given.lower().replace("-", "_"), known, n=1)
    return f"did you mean {close[0]}?" if close else ""


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The plan's part in an annotation: ``Load``, ``Model | None``, ``tuple[Component, ...]``."""
    parts = typing.get_args(annotation)
    if not parts:
        return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return next((model for part in parts if (model := _model_in(part))), None)


def _place_of(key: str, model: type[BaseModel]) -> str | None:
    """The section of a plan that has the key, where exactly one top section does."""
    places = [
        name
        for name, field in model.model_fields.items()
        if (inner := _model_in(field.annotation))
        and key in {field.alias or inner_name for inner_name, field in inner.model_fields.items()}
    ]
    return places[0] if len(places) == 1 else None
