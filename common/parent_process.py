"""Tie a process to its parent: when the parent dies for any reason, the kernel ends the child."""

import ctypes
import os
import signal
import sys

PARENT_VARIABLE = "LOCAL_SAGEMAKER_PARENT"
LOAD_PARENT_VARIABLE = "BENCH_PARENT"
TOKEN_VARIABLE = "BENCH_TOKEN"  # noqa: S105 - its name; in the environment, where no other user reads it
"""The token of a run, with which master and workers authenticate each other."""
_PR_SET_PDEATHSIG = 1


def tie_to_parent(sig: signal.Signals, variable: str = PARENT_VARIABLE) -> None:
    """Ask the kernel for ``sig`` at the death of the thread that started this process.

    A parent that named itself by its process id in ``variable`` and is already gone ends this process:
    the kernel reports only deaths after this call.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
    expected = os.environ.get(variable)
    if expected and os.getppid() != int(expected):
        os._exit(0)
