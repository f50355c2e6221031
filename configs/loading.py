"""Read a plan from YAML; every mistake becomes one sentence that names the file, the key and the remedy."""

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from configs.errors import UserError
from configs.plan import Plan


def load_plan(path: Path, overrides: dict[str, Any] | None = None) -> Plan:
    """Read and validate the plan at ``path``.

    Args:
        path: a YAML file.
        overrides: dotted keys that replace the file's, e.g. ``{"endpoint.instance_type": "ml.g5.xlarge"}``.

    Raises:
        UserError: no file, no permission, no YAML, or a key or value that a plan does not have.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such plan; `ls configs/*.yml` shows those that there are") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}:{where} is not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a plan is a mapping of keys (name, model, workload, load, …)")
    for dotted, value in (overrides or {}).items():
        _set(content, dotted.split("."), value)
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_mistake(error)}") from None


def _set(content: dict[str, Any], keys: list[str], value: object) -> None:
    for key in keys[:-1]:
        inner = content.setdefault(key, {})
        if not isinstance(inner, dict):
            return  # validation names the mistake
        content = inner
    content[keys[-1]] = value


def _first_mistake(error: ValidationError) -> str:
    mistakes = error.errors(include_url=False)
    # A misspelt key explains the missing one, so it is told first.
    first = min(mistakes, key=lambda mistake: mistake["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in first["loc"]) or "plan"
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{key} is not a key of a plan{_suggestion(first['loc'])}{more}"
    if first["type"] == "missing":
        return f"{key} is missing{more}"
    message = first["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(first["input"], dict | list) else f", not {first['input']!r}"
    return f"{key}: {message[0].lower()}{message[1:]}{shown}{more}"


def _suggestion(location: tuple[int | str, ...]) -> str:
    model: type[BaseModel] = Plan
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        if field is None or not (
            isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        ):
            return ""
        model = field.annotation
    known = [field.alias or name for name, field in model.model_fields.items()]
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; its keys are {', '.join(known)}"
