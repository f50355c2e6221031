"""Start the local SageMaker from Python and end it: a context manager around a child process."""

import json
import os
import secrets
import select
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from common.errors import UserError
from common.parent_process import PARENT_VARIABLE
from common.paths import PROJECT

REGION = "us-east-1"
START_SECONDS = 30.0
STOP_SECONDS = 15.0


class LocalSageMaker:
    """The local SageMaker, running for the length of a ``with`` block.

    Args:
        options: further options of ``python -m emulator``, for example ``["--create-seconds", "0"]``.
        log_path: file for its log. None: a temporary file, removed at the end if nothing was logged.
        region: the default region in ``environment``.
        withheld: variables of this process's environment that it must not inherit.
        detach: keep it running if this process is killed.
        prefix: begins its command line, for example to start it in a network namespace.

    Enter it from a thread that outlives it, such as the main thread: the kernel ends it with that thread.
    """

    def __init__(
        self,
        options: Sequence[str] = (),
        *,
        log_path: Path | None = None,
        region: str = REGION,
        withheld: Collection[str] = (),
        detach: bool = False,
        prefix: Sequence[str] = (),
    ) -> None:
        self._prefix = prefix
        self._options = [*options, *(["--detach"] if detach else [])]
        self._region = region
        self._withheld = {PARENT_VARIABLE, *withheld}
        self._detach = detach
        self._keys = {
            "AWS_ACCESS_KEY_ID": f"AKIALOCAL{secrets.token_hex(5).upper()}",
            "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        }
        self._process: subprocess.Popen[str] | None = None
        self.log_path = log_path or _temporary_log()
        self._log_is_temporary = log_path is None
        self.url = ""
        self.pid = 0

    @property
    def environment(self) -> dict[str, str]:
        """Variables that direct every AWS client here, with the only credentials that are accepted."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.url,
            **self._keys,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_REGION": self._region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_CONFIG_FILE": os.devnull,
        }

    def __enter__(self) -> Self:
        """Start it and wait until it serves.

        Raises:
            UserError: it ended or did not serve within `START_SECONDS`; the message quotes its log.
        """
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "LOCUST_")) and name not in self._withheld
        }
        environment |= self._keys
        if not self._detach:
            environment[PARENT_VARIABLE] = str(os.getpid())
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "emulator", *self._options],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            ready = json.loads(self._first_line())
        except BaseException:
            self.stop()
            raise
        self.url, self.pid = ready["url"], ready["pid"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and its containers."""
        self.stop()

    def configure(self, setting: str, content: object) -> None:
        """Change a setting or its account: a POST to ``/_local/<setting>`` (`emulator.local_api`)."""
        body = json.dumps(content).encode()
        request = urllib.request.Request(f"{self.url}/_local/{setting}", body, method="POST")  # noqa: S310 - loopback
        with urllib.request.urlopen(request):  # noqa: S310 - loopback
            pass

    def stop(self) -> None:
        """End it and its containers. A second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        if self._log_is_temporary and self.log_path.exists() and not self.log_path.stat().st_size:
            self.log_path.unlink()

    def _first_line(self) -> str:
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("not started")
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        if line:
            return line
        logged = self.log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        reason = logged[-1] if logged else f"no response within {START_SECONDS:.0f} s"
        raise UserError(f"the local SageMaker did not start: {reason}", f"see its log {self.log_path}")


def _temporary_log() -> Path:
    descriptor, name = tempfile.mkstemp(prefix="local-sagemaker-", suffix=".log")
    os.close(descriptor)
    return Path(name)
