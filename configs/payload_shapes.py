"""Rows of published data sets, as rows of a payload: ShareGPT's conversations, LongBench, and templates."""

import re
from typing import Any

_NAME = re.compile(r"\{(\w+)\}")
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_LONGBENCH = "{context}\n\n{input}"
_IDS = ("payload_id", "id", "_id")


def as_row(content: Any, template: str | None, *, whole: bool = False) -> Any:
    """A row with ``prompt``, ``messages`` or ``body``; unchanged if it is of no known shape.

    - a template: the prompt is the template with the row's own fields.
    - ShareGPT's ``conversations``: the first question, with the system prompt before it if there is one; or
      the whole conversation.
    - LongBench's ``context`` and ``input``: one after the other.

    Args:
        content: a JSON value.
        template: the prompt, with names of fields in braces.
        whole: whether the row is played as a conversation.

    Raises:
        ValueError: the row has not the fields of its template or shape.
    """
    if not isinstance(content, dict):
        return content
    if template is not None:
        return _about(content) | {"prompt": _filled(template, content)}
    if "prompt" in content or "messages" in content or "body" in content:
        return content
    if "conversations" in content:
        return _about(content) | _conversation(content["conversations"], whole=whole)
    if "context" in content and "input" in content:
        return _about(content) | {"prompt": _filled(_LONGBENCH, content)}
    return content


def _about(content: dict[str, Any]) -> dict[str, Any]:
    """Identifier and asked length of a row."""
    known = {"output_tokens": content["output_tokens"]} if "output_tokens" in content else {}
    name = next((content[key] for key in _IDS if content.get(key) is not None), None)
    return known if name is None else known | {"payload_id": name}


def _filled(template: str, content: dict[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in content:
            raise ValueError(f"the row has no {match[1]}, which the template names")
        return str(content[match[1]])

    return _NAME.sub(value, template)


def _conversation(turns: Any, *, whole: bool) -> dict[str, Any]:
    messages = []
    for turn in turns if isinstance(turns, list) else []:
        role = _ROLES.get(str(turn.get("from") or turn.get("role"))) if isinstance(turn, dict) else None
        text = (turn.get("value") or turn.get("content")) if role else None
        if role is None or not isinstance(text, str):
            raise ValueError("each of the conversations must have from (human, gpt or system) and value")
        messages.append({"role": role, "content": text})
        if role == "user" and not whole:
            break
    if all(message["role"] != "user" for message in messages):
        raise ValueError("the conversations have no turn of a human")
    if whole:
        return {"messages": messages}
    questions = [message for message in messages if message["role"] != "assistant"]
    return {"prompt": questions[0]["content"]} if len(questions) == 1 else {"messages": questions}
