"""Run Locust as a child process: start it, show its status, end it in order, give back its exit code."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.screen import LoadScreen, say
from configs.errors import UserError
from locustfiles.launch import locust_command, locust_environment
from runfolder.layout import LOCUST_LOG, STATUS

INTERRUPTED = 130
_POLL_S = 0.25
_ORDERLY_S = 20.0
_KILL_S = 5.0
_LINGER_S = 5.0


@dataclass(frozen=True)
class LoadOptions:
    """How Locust runs: ``headless``, with its web ``ui``, or as ``master`` of workers on several hosts."""

    mode: Literal["headless", "ui", "master"] = "headless"
    processes: int | None = None
    expect_workers: int | None = None
    web_port: int = 8089
    master_host: str = "127.0.0.1"
    master_port: int = 5557
    withheld: frozenset[str] = frozenset()
    """Variables of this process's environment that Locust has no use for: tokens."""

    def check(self) -> None:
        """Refuse a port that is taken.

        Raises:
            UserError: it is taken; nothing was started.
        """
        if self.mode == "ui":
            _check_port("127.0.0.1", self.web_port, "PORT")
        if self.mode == "master":
            _check_port(self.master_host, self.master_port, "PORT")


def _check_port(host: str, port: int, name: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be used ({error.strerror}); choose another with {name}="
            ) from None


def play_load(
    experiment_file: Path, csv_prefix: Path, options: LoadOptions, *, spent_too_much: Callable[[], bool]
) -> int:
    """Run a load to its end.

    The child has a session of its own, so that Ctrl-C reaches only us: we ask it to end in order, which
    lets it write what it has.

    Args:
        experiment_file: what to play; its folder is the run folder.
        csv_prefix: of Locust's own CSV files.
        options: how Locust runs.
        spent_too_much: asked while waiting; True ends the load early.

    Returns:
        The child's exit code.
    """
    folder = experiment_file.parent
    status_file = folder / STATUS
    status_file.unlink(missing_ok=True)
    command = locust_command(
        experiment_file,
        csv_prefix,
        mode=options.mode,
        processes=options.processes,
        expect_workers=options.expect_workers,
        master_host=options.master_host,
        master_port=options.master_port if options.mode == "master" else _free_port(),
        web_port=options.web_port,
    )
    with (folder / LOCUST_LOG).open("ab") as output:
        child = subprocess.Popen(
            command,
            env={k: v for k, v in locust_environment().items() if k not in options.withheld},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    last: dict[str, Any] = {}
    try:
        with LoadScreen() as screen:
            _watch(child, status_file, screen, options, spent_too_much)
    finally:
        end_child(child)
        last = _read_status(status_file)
        status_file.unlink(missing_ok=True)
    if (message := last.get("message")) and message != "interrupted":
        say(str(message))
    if (said := last.get("exit_code")) is not None and child.returncode in (0, INTERRUPTED):
        return int(said)  # a web page that lingered was ended, which says nothing of the load
    if said is None and child.returncode not in (0, INTERRUPTED):
        _tell_end_of(folder / LOCUST_LOG)
    return child.returncode


def _free_port() -> int:
    """For a master and its workers on this machine: two runs must not share one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _watch(
    child: "subprocess.Popen[bytes]",
    status_file: Path,
    screen: LoadScreen,
    options: LoadOptions,
    spent_too_much: Callable[[], bool],
) -> None:
    """Show the status until the child has ended or is to be ended."""
    done_at: float | None = None
    while child.poll() is None and not spent_too_much():
        status = _read_status(status_file)
        screen.update(status)
        if status.get("phase") == "done":
            done_at = done_at or time.monotonic()
        # Locust's web page would stay for ever, and the endpoint with it.
        if options.mode == "ui" and done_at is not None and time.monotonic() - done_at > _LINGER_S:
            break
        time.sleep(_POLL_S)
    screen.update(_read_status(status_file))


def _tell_end_of(log: Path) -> None:
    """The last lines of a log, for a load that did not end well."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:]
    for line in lines:
        say(f"  {line}")
    say(f"  ({log})")


def end_child(child: "subprocess.Popen[bytes]") -> None:
    """End a child in order; kill its whole group when it does not end. Safe to call on one that has ended."""
    try:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            child.wait(_ORDERLY_S)
    except subprocess.TimeoutExpired:
        say(f"the load generator did not end within {_ORDERLY_S:.0f} s and is killed")
    finally:
        _kill_group(child)


def _kill_group(child: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of the child's session, worker processes included."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:  # macOS: the group holds only zombies
        pass
    child.wait(_KILL_S)


def _read_status(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
