"""Escape text from a model server or a payload file, so that Markdown shows no tags, links or images."""

import re

_ENTITIES = {"<": "&lt;", ">": "&gt;", "[": "&#91;", "]": "&#93;"}
_SPAN = re.compile(r"(?<!`)`[^`]+`(?!`)")


def escape_markdown(text: str) -> str:
    """Escape HTML, links and images outside of code spans.

    It uses entities, because a backslash in the text itself would undo a backslash. A single backtick becomes
    an entity too, so that it cannot open a code span that includes the text after it.
    """
    spans = _SPAN.findall(text)
    plain = [_escape(part) for part in _SPAN.split(text)]
    return plain[0] + "".join(span + part for span, part in zip(spans, plain[1:], strict=True))


def _escape(text: str) -> str:
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text)
    text = re.sub(r"[<>\[\]]", lambda match: _ENTITIES[match[0]], text)
    text = text.replace("`", "&#96;")
    return re.sub(r"(?i)(://)|(www)\.", lambda m: ":&#47;/" if m[1] else f"{m[2]}&#46;", text)
