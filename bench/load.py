"""Run Locust as a child process: start it, show its status, end it in order, give back its exit code."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.screen import LoadScreen

_POLL_S = 0.25
_ORDERLY_S = 20.0
_KILL_S = 5.0


def play_load(
    command: Sequence[str],
    *,
    environment: dict[str, str],
    log: Path,
    status_file: Path,
    stop_when: Callable[[], bool] = lambda: False,
) -> int:
    """Run a load to its end.

    The child has a session of its own, so that Ctrl-C reaches only us: we ask it to end in order, which
    lets it write what it has.

    Args:
        command: the argument list of the load generator.
        environment: its whole environment.
        log: where its output goes.
        status_file: what it writes about itself, shown meanwhile.
        stop_when: asked while waiting; True ends the load early (the spend guard).

    Returns:
        The child's exit code.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with LoadScreen() as screen:
            asked = False
            while child.poll() is None:
                screen.update(_read_status(status_file))
                if not asked and stop_when():
                    asked = True
                    child.send_signal(signal.SIGINT)
                time.sleep(_POLL_S)
            screen.update(_read_status(status_file))
    finally:
        end_child(child)
    return child.returncode


def end_child(child: "subprocess.Popen[bytes]") -> None:
    """End a child in order; kill its whole group when it does not end. Safe to call on one that has ended."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(_ORDERLY_S)
        except BaseException:
            # A second Ctrl-C, or time is up: no more asking.
            _kill_group(child)
            raise
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
