"""The command line that starts Locust. Does not import Locust."""

import os
import sys
from pathlib import Path
from typing import Literal

from common.parent_process import LOAD_PARENT_VARIABLE

Mode = Literal["headless", "master", "worker"]

LOCUSTFILE = Path(__file__).with_name("experiment.py")
_STOP_TIMEOUT_S = 4000
"""Longer than any request: the step sequence decides how requests in flight end, not Locust."""


_EXPECT_WORKERS_MAX_WAIT_S = "600"


def locust_command(
    experiment_file: Path | None,
    csv_prefix: Path | None,
    *,
    mode: Mode = "headless",
    processes: int | None = None,
    expect_workers: int | None = None,
    master_host: str = "127.0.0.1",
    master_port: int = 5557,
    web_port: int | None = None,
) -> list[str]:
    """The argument list that runs an experiment, or a worker of one.

    Args:
        experiment_file: an `Experiment` as JSON; None for a worker.
        csv_prefix: path prefix of Locust's own CSV files; None for a worker.
        mode: ``headless`` (this process alone), ``master`` or ``worker`` (over several machines).
        processes: worker processes to fork on this machine. With ``headless`` the run then has a master and
            this many workers, with ``worker`` this many workers.
        expect_workers: workers that a master waits for.
        master_host: for a worker, the address of its master; for a master, the interface to listen on.
        master_port: the master's port.
        web_port: port of Locust's web server on this machine's loopback; None for none.
    """
    command = [sys.executable, "-m", "locustfiles.run_locust", "-f", str(LOCUSTFILE), "--loglevel", "INFO"]
    if mode == "worker":
        command += ["--worker", "--master-host", master_host, "--master-port", str(master_port)]
        return command + _forked(processes)
    command += ["--experiment", str(experiment_file), "--stop-timeout", str(_STOP_TIMEOUT_S)]
    if csv_prefix is not None:
        command += ["--csv", str(csv_prefix), "--csv-full-history"]
    if web_port is None:
        command += ["--headless", "--only-summary"]
    else:
        command += ["--web-host", "127.0.0.1", "--web-port", str(web_port), "--autostart"]
    if mode == "master":
        command += ["--master", "--master-bind-host", master_host, "--master-bind-port", str(master_port)]
        command += ["--expect-workers", str(expect_workers or 1)]
        command += ["--expect-workers-max-wait", _EXPECT_WORKERS_MAX_WAIT_S]
    elif processes and processes > 1:
        command += ["--master-bind-host", "127.0.0.1", "--master-bind-port", str(master_port)]
        command += [
            "--master-port",
            str(master_port),
            *_forked(processes),
        ]  # for the forked workers
    return command


def _forked(processes: int | None) -> list[str]:
    return ["--processes", str(processes)] if processes and processes > 1 else []


def user_config_files() -> list[Path]:
    """The user's configuration files that Locust reads in addition to its command line."""
    return [path for path in (Path.home() / ".locust.conf", Path("locust.conf")) if path.exists()]


def locust_environment() -> dict[str, str]:
    """This process's environment, with the path to our code and the id of the supervising process.

    The user's ``LOCUST_*`` variables are left out: Locust reads an option from each of them.
    ``LOCUST_MODE_MASTER`` would turn the load into a master, and ``LOCUST_TAGS`` would skip requests.
    """
    root = str(LOCUSTFILE.parent.parent)
    path = os.environ.get("PYTHONPATH")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")},
        LOAD_PARENT_VARIABLE: str(os.getpid()),
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
        "PYTHONUNBUFFERED": "1",
    }
