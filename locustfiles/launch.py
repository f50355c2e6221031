"""How Locust is started: the one place that knows its options. Imports no Locust."""

import os
import sys
from pathlib import Path
from typing import Literal

from common.parent_process import LOAD_PARENT_VARIABLE

Mode = Literal["headless", "ui", "master", "worker"]

LOCUSTFILE = Path(__file__).with_name("sagemaker.py")
_STOP_TIMEOUT_S = 4000
"""Above the longest request: our own end of a run decides what becomes of requests in flight."""


def locust_command(
    experiment_file: Path | None,
    csv_prefix: Path | None,
    *,
    mode: Mode = "headless",
    processes: int | None = None,
    expect_workers: int | None = None,
    master_host: str = "127.0.0.1",
    master_port: int = 5557,
    web_host: str = "127.0.0.1",
    web_port: int = 8089,
    expect_workers_max_wait: int = 600,
) -> list[str]:
    """The argument list that plays an experiment, or a part of it.

    Args:
        experiment_file: an `Experiment` as JSON; a worker takes none.
        csv_prefix: where Locust writes its own CSV files; a worker writes none.
        mode: ``headless`` (this process alone), ``ui`` (the same in Locust's web page), ``master`` or
            ``worker`` (over several machines).
        processes: worker processes to fork on this machine: in ``headless`` and ``ui`` the run then has a
            master and that many workers, in ``worker`` that many workers.
        expect_workers: workers that a master waits for.
        master_host: for a worker, where its master is; for a master, the interface it listens on.
        master_port: the master's port.
        web_host: interface of the web page (``ui``, and ``master`` has none).
        web_port: port of the web page.
        expect_workers_max_wait: seconds that a master waits for its workers.
    """
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--loglevel", "INFO"]
    if mode == "worker":
        command += ["--worker", "--master-host", master_host, "--master-port", str(master_port)]
        return command + _forked(processes)
    command += ["--experiment", str(experiment_file), "--stop-timeout", str(_STOP_TIMEOUT_S)]
    if csv_prefix is not None:
        command += ["--csv", str(csv_prefix), "--csv-full-history"]
    if mode == "ui":
        command += ["--web-host", web_host, "--web-port", str(web_port), "--autostart"]
    else:
        command += ["--headless", "--only-summary"]
    if mode == "master":
        command += ["--master", "--master-bind-host", master_host, "--master-bind-port", str(master_port)]
        command += ["--expect-workers", str(expect_workers or 1)]
        command += ["--expect-workers-max-wait", str(expect_workers_max_wait)]
    elif processes and processes > 1:
        command += ["--master-bind-host", "127.0.0.1", "--master-bind-port", str(master_port)]
        command += ["--master-port", str(master_port), *_forked(processes)]  # the forked look there
    return command


def _forked(processes: int | None) -> list[str]:
    return ["--processes", str(processes)] if processes and processes > 1 else []


def user_config_files() -> list[Path]:
    """Configuration files of the user's that Locust would read, whatever its command line says."""
    return [path for path in (Path.home() / ".locust.conf", Path("locust.conf")) if path.exists()]


def locust_environment() -> dict[str, str]:
    """This process's environment with what Locust needs to find our code, and whose child it will be.

    Without the user's ``LOCUST_*``: Locust reads an option from each, so that ``LOCUST_MODE_MASTER`` would
    make a master of the load and ``LOCUST_TAGS`` leave requests out.
    """
    root = str(LOCUSTFILE.parent.parent)
    path = os.environ.get("PYTHONPATH")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")},
        LOAD_PARENT_VARIABLE: str(os.getpid()),
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
        "PYTHONUNBUFFERED": "1",
    }
