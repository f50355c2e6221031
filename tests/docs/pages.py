"""The pages of the documentation, and what they hold: links, commands, blocks of code."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = tuple(ROOT / name for name in TOP) + tuple(sorted((ROOT / "docs").glob("*.md")))
PROGRAMS = (
    "make",
    "llm-bench",
    ".venv/bin/llm-bench",
    "python",
    ".venv/bin/python",
    "locust",
    ".venv/bin/locust",
)

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page, by the number of its first line."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The blocks of these languages on all pages; ``""`` for those that name none."""
    return [block for page in PAGES for block in _blocks(page) if block.language in languages]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 2, found[2], found[3])


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    names = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(prose(page)))
    return {name.strip().replace(" ", "-") for name in names}


def commands() -> list[tuple[str, list[str]]]:
    """Each command line of a program of `PROGRAMS`: where it stands, and its words."""
    found: dict[str, str] = {}
    for block in blocks("", "bash"):
        for line in block.text.replace("\\\n", " ").splitlines():
            found.setdefault(line.split("#")[0].strip(), str(block))
    for page in PAGES:
        for span in _SPAN.findall(prose(page)):
            found.setdefault(" ".join(span.split()), page.name)
    return [
        (place, shlex.split(line))
        for line, place in found.items()
        if line.split(" ")[0] in PROGRAMS and " " in line and "──" not in line  # a drawing of processes
    ]
