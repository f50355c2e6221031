"""What the documentation says can be done: commands, plans, links and messages exist as they are written."""

import ast
import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from bench.cli import Commands
from configs.plan import Plan
from runfolder.records_doc import TABLES, columns, document
from tests.docs.pages import PAGES, ROOT, Block, anchors, blocks, commands, prose

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PLAN: dict[str, Any] = {
    "name": "documented",
    "model": {"name": "m", "source": "local"},
    "workload": {"payload": "en_50-100"},
    "load": {"concurrency": [1]},
    "slo": {"ttft_p95": "1s"},
}
DEVELOPMENT = {"check", "help", "lock", "test", "test-fast"}


def test_pages_and_navigation_are_the_same() -> None:
    site = re.sub(r"!!python/\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = re.findall(r"[\w-]+\.md", str(yaml.safe_load(site)["nav"]))
    assert sorted(listed) == sorted({"index.md" if page.name == "README.md" else page.name for page in PAGES})
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [
        page.name for page in PAGES if page.parent == ROOT / "docs" and f"(docs/{page.name})" not in readme
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = prose(page)
    targets = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'(?:src|srcset)="([^"]+)"', text)]
    broken = []
    for target in targets:
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def variables(command: str) -> set[str]:
    """The variables that a command of make takes."""
    (names,) = re.findall(rf"^TAKES_{command} +:= (.*)$", MAKEFILE, re.MULTILINE) or [""]
    (shared,) = re.findall(r"^RUN_VARIABLES +:= (.*)$", MAKEFILE, re.MULTILINE)
    return {"PYTHON", *names.replace("$(RUN_VARIABLES)", shared).split()}


@cache
def make_commands() -> set[str]:
    (names,) = re.findall(r"^COMMANDS := (.*)$", MAKEFILE, re.MULTILINE)
    return set(names.split())


def check_make(words: list[str]) -> str | None:
    goals = [word for word in words if "=" not in word]
    given = {word.partition("=")[0] for word in words if "=" in word}
    if not goals or not set(goals) <= make_commands():
        return f"make has no command {goals}"
    unknown = given - set().union(*map(variables, goals))
    return f"make {goals[0]} takes no {unknown}" if unknown else None


def check_llm_bench(words: list[str]) -> str | None:
    if words[0].startswith("-"):
        return None if words[0] in ("--version", "--help") else f"llm-bench has no {words[0]}"
    context = click.Context(Commands())
    command = Commands().get_command(context, words[0])
    if command is None:
        return f"llm-bench has no command {words[0]}"
    try:
        command.make_parser(click.Context(command)).parse_args(
            [word for word in words[1:] if word != "--help"]
        )
    except click.UsageError as error:
        return str(error)
    return None


def check_module(words: list[str]) -> str | None:
    """A module that exists and knows the words given to it, by its source."""
    if words[0] != "-m":
        return None
    if words[1] == "bench":
        return check_llm_bench(words[2:])
    spec = find_spec(words[1])
    if spec is None or spec.origin is None:
        return f"there is no module {words[1]}"
    source = Path(spec.origin)
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in {source, source.with_name("__main__.py")}
        if path.exists()
    )
    unknown = [
        word
        for word in words[2:]
        if re.fullmatch(r"-?-?[a-z]+[a-z-]*", word)
        and word.strip("-").replace("-", "_") not in text
        and word not in text
    ]
    return f"{words[1]} knows no {unknown}" if unknown else None


@cache
def locust_options() -> set[str]:
    """Options of Locust and of this suite's locustfiles, from their sources."""
    package = find_spec("locust")
    assert package is not None
    assert package.origin is not None
    files = [Path(package.origin).with_name("argument_parser.py"), *(ROOT / "locustfiles").glob("*.py")]
    return {
        option for file in files for option in re.findall(r'"(--?[a-zA-Z][\w-]*)"', file.read_text("utf-8"))
    }


def check_locust(words: list[str]) -> str | None:
    unknown = {word for word in words if word.startswith("-")} - locust_options()
    return f"locust has no {unknown}" if unknown else None


CHECKS = {
    "make": check_make, "llm-bench": check_llm_bench, ".venv/bin/llm-bench": check_llm_bench,
    "python": check_module, ".venv/bin/python": check_module,
    "locust": check_locust, ".venv/bin/locust": check_locust,
}  # fmt: skip


@pytest.mark.parametrize(
    ("place", "words"), commands(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_command_parses(place: str, words: list[str]) -> None:
    shown = [word for word in words if "…" not in word or "=" in word]
    assert CHECKS[words[0]](shown[1:]) is None, (place, words)


def test_the_check_of_commands_can_fail() -> None:
    assert check_make(["bench", "ENDPIONT=x"])
    assert check_make(["bnech"])
    assert check_llm_bench(["run", "--endpiont", "x"])
    assert check_module(["-m", "bench.nothing"])
    assert check_module(["-m", "bench.benchmarks.open_loop", "rate-s"])
    assert check_locust(["--endpiont", "x"])
    assert len(commands()) > 50


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_plan_is_a_plan(block: Block) -> None:
    content = yaml.safe_load(block.text)
    if not content.keys() & Plan.model_fields.keys():
        return
    workload = content.get("workload", {})
    if "mix" not in workload:
        workload = PLAN["workload"] | workload
    Plan.model_validate(PLAN | content | {"workload": workload})


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


def test_every_command_is_in_the_list_of_wishes() -> None:
    text = (ROOT / "docs/how-to.md").read_text(encoding="utf-8")
    assert {command for command in make_commands() - DEVELOPMENT if f"make {command}" not in text} == set()


def texts(node: ast.AST) -> str | None:
    """A literal text, with … for what is put into it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(value.value) if isinstance(value, ast.Constant) else "…" for value in node.values)
    return None


def test_the_messages_of_troubleshooting_are_ours() -> None:
    sources = [
        path
        for top in ("analysis", "bench", "configs", "deploy", "locustfiles", "payloads")
        for path in (ROOT / top).rglob("*.py")
    ]
    known = [
        text
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (text := texts(node))
    ]
    known += [MAKEFILE, (ROOT / "arguments.mk").read_text(encoding="utf-8")]
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    quoted = [
        message
        for line in page.splitlines()
        if line.startswith("| ")
        for cell in line.split(" | ")[:-1]
        for message in re.findall(r"`([^`]+ [^`]+)`", cell)
        if not message.startswith("make ")
    ]
    parts = {part.strip(" :") for message in quoted for part in message.split("…")} - {""}
    assert len(quoted) > 40
    assert {part for part in parts if not any(part in text for text in known)} == set()


def test_the_columns_are_the_records_columns() -> None:
    written = (ROOT / "docs/records.md").read_text(encoding="utf-8")
    assert written == document(), "run: python -m runfolder.records_doc > docs/records.md"
    bare = [f"{file}: {name}" for file, table in TABLES for name, _, meaning in columns(table) if not meaning]
    assert bare == []
