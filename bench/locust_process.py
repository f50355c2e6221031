"""Run Locust as a child process: start it, show its status, end it in order, give back its exit code."""

import contextlib
import errno
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from bench.terminal import LoadScreen, say
from common.errors import UserError
from common.exit_codes import ExitCode
from common.parent_process import TOKEN_VARIABLE
from common.text import one_line
from locustfiles.launch import locust_command, locust_environment, user_config_files
from runfolder.layout import LOCUST_LOG, STATUS

_MEANING: dict[int, str] = {
    ExitCode.INCOMPLETE: "some steps are not whole; the report says which, and why",
    ExitCode.REFUSED: "the endpoint refused the requests",
}
_DOCUMENTED = frozenset({ExitCode.OK, ExitCode.FAILED, *_MEANING, ExitCode.INTERRUPTED})
_POLL_S = 0.25
_ORDERLY_S = 20.0
_ASK_AGAIN_S = 5.0
_KILL_S = 5.0
_LINGER_S = 5.0
_SILENCE_S = 60.0
"""Without a status from the load, which writes one a second. A slow machine is late by seconds."""
_AWAKE_S = 4 * _POLL_S
"""The most that one look counts as waiting: this machine, or this process, may have been asleep."""


@dataclass(frozen=True)
class LoadOptions:
    """How Locust runs: ``headless``, with its web ``ui``, or as ``master`` of workers on several hosts."""

    mode: Literal["headless", "ui", "master"] = "headless"
    processes: int | None = None
    expect_workers: int | None = None
    web_port: int = 8089
    master_host: str = "127.0.0.1"
    master_port: int = 5557
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """What master and workers know each other by."""
    withheld: frozenset[str] = frozenset()
    """Variables of this process's environment that Locust has no use for: tokens."""

    @property
    def workers_elsewhere(self) -> int:
        """Load generators of other hosts that the load needs; 0 when it is made here."""
        return self.expect_workers or 1 if self.mode == "master" else 0

    @property
    def beacon_address(self) -> tuple[str, int] | None:
        """Where workers on other hosts hear how the run stands: the port after Locust's."""
        return (self.master_host, self.master_port + 1) if self.mode == "master" else None

    @property
    def reach(self) -> str:
        """Who can reach the master, in one sentence."""
        if self.master_host == type(self).master_host:
            return "only workers on this machine reach this master; BIND= names an interface for others"
        return (
            f"workers reach this master on {self.master_host}, ports {self.master_port} and "
            f"{self.master_port + 1}: prompts and answers go over them in clear text, so let only the "
            "workers' hosts through"
        )

    def check(self) -> None:
        """Refuse a port that is taken, and options of Locust that nobody gave to this run.

        Raises:
            UserError: nothing was started.
        """
        if files := user_config_files():
            raise UserError(f"{files[0]}: Locust would take options of the run from it; move it away")
        if self.mode == "ui":
            _check_port("127.0.0.1", self.web_port)
        if self.mode == "master":
            _check_port(self.master_host, self.master_port)
            _check_port(self.master_host, self.master_port + 1)


@dataclass(frozen=True)
class LoadEnd:
    """How a load ended."""

    code: int
    """0 when all steps are whole, 1 when it could not be played, 3, 4 and 130 as in the README."""
    message: str
    """What there is to say of it, in one sentence; empty where all went well."""


def _check_port(host: str, port: int) -> None:
    """Refuse an address of this machine that cannot be listened on.

    Raises:
        UserError: with the remedy for the host or for the port, whichever is wrong.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise UserError(
                    f"port {port} cannot be used ({error.strerror}); choose another with PORT="
                ) from None
            raise UserError(
                f"BIND={host}: this machine cannot listen there ({error.strerror}); give an address of its "
                "own, or leave BIND out"
            ) from None


def play_load(
    experiment_file: Path, csv_prefix: Path, options: LoadOptions, *, spent_too_much: Callable[[], bool]
) -> LoadEnd:
    """Run a load to its end.

    The child has a session of its own, so that Ctrl-C reaches only us: we ask it to end in order, which
    lets it write what it has.

    Args:
        experiment_file: what to play; its folder is the run folder.
        csv_prefix: of Locust's own CSV files.
        options: how Locust runs.
        spent_too_much: asked while waiting; True ends the load early.

    Returns:
        How it ended.
    """
    folder = experiment_file.parent
    log = folder / LOCUST_LOG
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
    last: dict[str, Any] = {}
    try:
        with LoadScreen() as screen:
            fault = _watch(child, status_file, screen, options, spent_too_much)
    finally:
        end_child(child)
        last = _read_status(status_file)
        status_file.unlink(missing_ok=True)
    if fault:
        return LoadEnd(ExitCode.FAILED, fault)
    return _end_of(child.returncode, last, lambda: _last_words(log, log_began))


def _end_of(code: int, status: dict[str, Any], last_words: Callable[[], str]) -> LoadEnd:
    """What an exit code of Locust means, with the last status that the load wrote."""
    if code < 0:
        return LoadEnd(ExitCode.FAILED, _killed_by(-code))
    reported, message = status.get("exit_code"), str(status.get("message") or "")
    if reported is not None and code in (ExitCode.OK, ExitCode.INTERRUPTED):
        code = int(reported)  # a web page that lingered was ended, which says nothing of the load
    if not message and code in _MEANING:
        message = _MEANING[code]
    elif not message and code not in (ExitCode.OK, ExitCode.INTERRUPTED):
        message = f"the load generator ended with code {code}: {last_words()}"
    return LoadEnd(code if code in _DOCUMENTED else ExitCode.FAILED, message)


def _killed_by(number: int) -> str:
    with contextlib.suppress(ValueError):
        name = signal.Signals(number).name
        cause = "; often the machine ran out of memory" if number == signal.SIGKILL else ""
        return f"the load generator was killed by signal {number} ({name}){cause}"
    return f"the load generator was killed by signal {number}"


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
) -> str | None:
    """Show the status until the child has ended or is to be ended; why, where the load is at fault."""
    done_at: float | None = None
    silence = _Silence()
    reported: object = ""
    while child.poll() is None and not spent_too_much():
        status = _read_status(status_file)
        screen.update(status)
        if (message := status.get("message")) and message != reported and status.get("phase") != "done":
            say(str(reported := message))
        if status.get("phase") == "done":
            done_at = done_at or time.monotonic()
        # Locust's web page would stay for ever, and the endpoint with it.
        if options.mode == "ui" and done_at is not None and time.monotonic() - done_at > _LINGER_S:
            break
        if silence.seconds(_stamp(status_file)) > _SILENCE_S:
            say(fault := f"the load generator has not reported for {_SILENCE_S:.0f} s and is ended")
            return fault
        time.sleep(_POLL_S)
    screen.update(_read_status(status_file))
    return None


class _Silence:
    """How long a file has not changed, in time that this process was awake."""

    def __init__(self) -> None:
        self._stamp: int | None = None
        self._seconds = 0.0
        self._at = time.monotonic()

    def seconds(self, stamp: int | None) -> float:
        """Seconds since ``stamp`` was another, looked at several times a second."""
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


def _last_words(log: Path, start: int) -> str:
    """What a load that did not end well said last: its last error, else its last line."""
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    errors = [line.partition("/ERROR/")[2] for line in lines if "/ERROR/" in line]
    return one_line((errors or lines or ["nothing was said"])[-1])


def end_child(child: "subprocess.Popen[bytes]", *, whole_group: bool = False) -> None:
    """End a child in order; kill its whole group when it does not end. Safe to call on one that has ended.

    Args:
        child: leader of a session of its own.
        whole_group: ask its children to end, too; else it tells them itself.
    """
    try:
        if child.poll() is None:
            if whole_group:
                os.killpg(child.pid, signal.SIGINT)
                _ask_again(child)
            else:
                child.send_signal(signal.SIGINT)
            child.wait(_ORDERLY_S)
    except subprocess.TimeoutExpired:
        say(f"the load generator did not end within {_ORDERLY_S:.0f} s and is killed")
    finally:
        _kill_group(child)


def _ask_again(child: "subprocess.Popen[bytes]") -> None:
    """Ask the child's own children once more: one that was just being forked has lost the first signal.

    Python forgets the signals that reach a new process before it has put itself in order (measured: 295 of
    300 that were sent right after `os.fork`). Its parent, which only waits for it, must not be asked twice:
    Locust then kills what it waits for.
    """
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_ASK_AGAIN_S)
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
