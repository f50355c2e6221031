"""Run Locust as a child process: start it, show its status, stop it in order, return its exit code."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from bench.live_page.load_feed import LoadFeed
from bench.ports import check_port, free_port
from bench.terminal import Status, print_status
from common.errors import UserError
from common.exit_codes import ExitCode
from common.parent_process import TOKEN_VARIABLE
from common.text import one_line
from locustfiles.launch import locust_command, locust_environment, user_config_files
from runfolder.layout import LOCUST_LOG, STATUS

_EXPLANATION: dict[int, str] = {
    ExitCode.INCOMPLETE: "some steps are incomplete; the report says which, and why",
    ExitCode.REFUSED: "the endpoint refused the requests",
}
_DOCUMENTED = frozenset({ExitCode.OK, ExitCode.FAILED, *_EXPLANATION, ExitCode.INTERRUPTED})
_POLL_S = 0.25
_ORDERLY_S = 20.0
_TERMINATE_AFTER_S = 5.0
_KILL_S = 5.0
_SILENCE_S = 60.0
"""Longest wait for a status of the load, which writes one a second. A slow machine is late by seconds."""
_AWAKE_S = 4 * _POLL_S
"""The most that one poll counts as waiting: this machine, or this process, may have been asleep."""


@dataclass(frozen=True)
class LoadOptions:
    """How Locust runs: ``headless``, or as ``master`` of workers on several hosts."""

    mode: Literal["headless", "master"] = "headless"
    processes: int | None = None
    expect_workers: int | None = None
    master_host: str = "127.0.0.1"
    master_port: int = 5557
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """Authenticates master and workers to each other."""
    withheld: frozenset[str] = frozenset()
    """Environment variables that Locust does not need and must not see: tokens."""

    @property
    def workers_elsewhere(self) -> int:
        """Load generators on other hosts that the load needs; 0 when it is generated here."""
        return self.expect_workers or 1 if self.mode == "master" else 0

    @property
    def announcer_address(self) -> tuple[str, int] | None:
        """Where the run's state is announced to workers on other hosts: the port after Locust's."""
        return (self.master_host, self.master_port + 1) if self.mode == "master" else None

    @property
    def reachability(self) -> str:
        """Who can connect to the master, for the user."""
        if self.master_host == type(self).master_host:
            return "only workers on this machine can connect to this master; BIND= opens another interface"
        return (
            f"workers connect to {self.master_host}, ports {self.master_port} and {self.master_port + 1}; "
            "open them to the workers' hosts only"
        )

    def check(self) -> None:
        """Refuse a port that is taken, and a configuration file of Locust that would change this run.

        Raises:
            UserError: nothing was started.
        """
        if files := user_config_files():
            raise UserError(
                f"{files[0]}: Locust would read options for this run from this file", "move it away"
            )
        if self.mode == "master":
            check_port(self.master_host, self.master_port)
            check_port(self.master_host, self.master_port + 1)


@dataclass(frozen=True)
class LoadEnd:
    """How a load ended."""

    code: int
    """An `ExitCode`."""
    message: str
    """What went wrong, in one sentence; empty where nothing did."""


def play_load(
    experiment_file: Path,
    csv_prefix: Path,
    options: LoadOptions,
    *,
    over_budget: Callable[[], bool],
    show: Callable[[Status], None] = lambda _: None,
    meanwhile: Callable[[Status], None] = lambda _: None,
    feed: LoadFeed | None = None,
) -> LoadEnd:
    """Run a load to its end.

    The child has a session of its own, so that Ctrl-C reaches only this process, which then stops the child
    in order: it writes what it has.

    Args:
        experiment_file: what to play; its folder is the run folder.
        csv_prefix: of Locust's own CSV files.
        options: how Locust runs.
        over_budget: polled while waiting; True ends the load early.
        show: called with the status several times a second, and with the last one.
        meanwhile: called with the status several times a second while the load runs.
        feed: takes state and points of the load from Locust's web server; None without a live page.

    Returns:
        How it ended.
    """
    folder = experiment_file.parent
    log = folder / LOCUST_LOG
    status_file = folder / STATUS
    status_file.unlink(missing_ok=True)
    web_port = None if feed is None else free_port()
    command = locust_command(
        experiment_file,
        csv_prefix,
        mode=options.mode,
        processes=options.processes,
        expect_workers=options.expect_workers,
        master_host=options.master_host,
        master_port=options.master_port if options.mode == "master" else free_port(),
        web_port=web_port,
    )
    with log.open("ab") as output:
        log_began = output.tell()
        child = subprocess.Popen(
            command,
            env={k: v for k, v in locust_environment().items() if k not in options.withheld}
            | {TOKEN_VARIABLE: options.token},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with contextlib.nullcontext() if feed is None or web_port is None else feed.following(web_port):
        try:
            fault = _watch(child, status_file, over_budget, show, meanwhile, feed=feed)
        finally:
            stop_child(child)
            show(last := _read_status(status_file))
            if feed is not None:
                feed.take_last_state(last.get("live"))
            status_file.unlink(missing_ok=True)
    if fault:
        return LoadEnd(ExitCode.FAILED, fault)
    return _end_of(child.returncode, last, lambda: _last_error(log, log_began))


def _end_of(code: int, status: dict[str, Any], last_error: Callable[[], str]) -> LoadEnd:
    """How a load ended, from Locust's exit code and the last status that it wrote."""
    if code < 0:
        return LoadEnd(ExitCode.FAILED, _killed_by(-code))
    reported, message = status.get("exit_code"), str(status.get("message") or "")
    if reported is not None and code in (ExitCode.OK, ExitCode.INTERRUPTED):
        code = int(reported)  # the web page stayed and was stopped, which says nothing about the load
    if not message and code in _EXPLANATION:
        message = _EXPLANATION[code]
    elif not message and code not in (ExitCode.OK, ExitCode.INTERRUPTED):
        message = f"the load generator ended with code {code}: {last_error()}"
    return LoadEnd(code if code in _DOCUMENTED else ExitCode.FAILED, message)


def _killed_by(number: int) -> str:
    with contextlib.suppress(ValueError):
        name = signal.Signals(number).name
        cause = "; often the machine ran out of memory" if number == signal.SIGKILL else ""
        return f"the load generator was killed by signal {number} ({name}){cause}"
    return f"the load generator was killed by signal {number}"


def _watch(
    child: "subprocess.Popen[bytes]",
    status_file: Path,
    over_budget: Callable[[], bool],
    show: Callable[[Status], None],
    meanwhile: Callable[[Status], None],
    *,
    feed: LoadFeed | None,
) -> str | None:
    """Show the status until the child has ended or must be stopped. Returns why, if the load is at fault."""
    silence = _Silence()
    reported: object = ""
    while child.poll() is None and not over_budget():
        status = _read_status(status_file)
        show(status)
        meanwhile(status)
        if (message := status.get("message")) and message != reported and status.get("phase") != "done":
            print_status(str(reported := message))
        if feed is not None and status.get("phase") == "done":
            feed.catch_up()
            break  # Locust's web server would stay forever, and the endpoint with it
        if silence.seconds(_stamp(status_file)) > _SILENCE_S:
            print_status(fault := f"the load generator has not reported for {_SILENCE_S:.0f} s and is ended")
            return fault
        time.sleep(_POLL_S)
    return None


class _Silence:
    """How long a file has not changed, counting only the time that this process was awake."""

    def __init__(self) -> None:
        self._stamp: int | None = None
        self._seconds = 0.0
        self._at = time.monotonic()

    def seconds(self, stamp: int | None) -> float:
        """Seconds since ``stamp`` last changed; call it several times a second."""
        now = time.monotonic()
        self._seconds += min(now - self._at, _AWAKE_S)
        self._at = now
        if stamp != self._stamp:
            self._stamp, self._seconds = stamp, 0.0
        return self._seconds


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _last_error(log: Path, start: int) -> str:
    """The last error in the log of a load that failed, else its last line."""
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    errors = [line.partition("/ERROR/")[2] for line in lines if "/ERROR/" in line]
    return one_line((errors or lines or ["it wrote nothing"])[-1])


def stop_child(child: "subprocess.Popen[bytes]", *, whole_group: bool = False) -> None:
    """Stop a child in order; kill its whole group if it does not end. Safe to call on one that has ended.

    Args:
        child: leader of a session of its own.
        whole_group: signal its children too; otherwise it stops them itself.
    """
    try:
        if child.poll() is None:
            if whole_group:
                os.killpg(child.pid, signal.SIGINT)
                _terminate_children(child)
            else:
                child.send_signal(signal.SIGINT)
            child.wait(_ORDERLY_S)
    except subprocess.TimeoutExpired:
        print_status(f"the load generator did not end within {_ORDERLY_S:.0f} s and is killed")
    finally:
        _kill_group(child)


def _terminate_children(child: "subprocess.Popen[bytes]") -> None:
    """Signal the child's own children again: one that was just being forked has lost the first signal.

    Python drops signals that reach a new process before its interpreter is ready (measured: 295 of 300 that
    were sent right after `os.fork`). The child itself, which only waits for them, must not get a second
    signal: Locust then kills what it waits for.
    """
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_TERMINATE_AFTER_S)
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(child.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()


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
