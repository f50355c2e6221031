"""A figure can be traced to the code that measured it."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.provenance import SUITE, suite_version, versions

ROOT = Path(__file__).parents[2]


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert versions()[SUITE].split()[0] == project["version"]


def test_the_commit_stands_beside_the_version_and_changes_are_named(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("a")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "--short=8", "HEAD")
    assert suite_version(tmp_path).endswith(f" ({commit})")
    (tmp_path / "file").write_text("b")
    assert suite_version(tmp_path).endswith(f" ({commit}, modified)")


def test_git_is_not_given_the_secrets_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nenv > '{tmp_path}/seen'\necho 1a2b3c4d\n")
    program.chmod(0o755)
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("MY_HUB_TOKEN", "planted-hub-token")
    assert "(1a2b3c4d" in suite_version(tmp_path)
    assert "planted-hub-token" not in (tmp_path / "seen").read_text()


def test_outside_a_checkout_there_is_only_the_version(tmp_path: Path) -> None:
    assert "(" not in suite_version(tmp_path)


def test_the_command_says_its_version() -> None:
    result = CliRunner().invoke(cli, ["--version"])
    assert (result.exit_code, result.output) == (0, f"{SUITE} {suite_version()}\n")
