"""What the `SageMakerUser`s of a process share: endpoints, credentials, the request log, its reports."""

from locust.env import Environment
from locust.runners import LocalRunner, WorkerRunner

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import botocore.session
import gevent

from common.errors import UserError
from configs.load import Timeouts
from configs.workload import Route
from locustfiles import messages
from locustfiles.client.credentials import CredentialKeeper
from locustfiles.client.invocation import InvocationExit
from locustfiles.client.invocation_url import invocation_target, runtime_url
from locustfiles.client.tokenizer import token_counter
from locustfiles.messages import MeasureWindow
from locustfiles.worker.endpoint import Endpoint
from locustfiles.worker.health import HealthProbe
from locustfiles.worker.reporter import REPORT_S, Reporter
from locustfiles.worker.request_log import RequestLog

_KILL_S = 5.0
_ID_BYTES = 6
"""Of a test's random part of each ``InferenceId``."""


@dataclass(frozen=True, slots=True)
class EndpointKey:
    """What tells two targets of invocations apart."""

    endpoint: str
    region: str
    component: str | None
    route: Route
    stream: bool
    text: bool
    headers: tuple[tuple[str, str], ...]
    content_type: str
    accept: str
    timeouts: Timeouts
    tokenizer: str
    """Path of a ``tokenizer.json``; empty without one."""


class UserProcess:
    """One process of a plain Locust run that has users.

    Every invocation has an entry in ``request_log``. With a run folder they are reported to the master, and
    the end of the test waits for those in flight.
    """

    def __init__(self, environment: Environment, runner: LocalRunner | WorkerRunner) -> None:
        self._environment = environment
        self._runner = runner
        self._health = HealthProbe()
        self._keeper: CredentialKeeper | None = None
        self._endpoints: dict[EndpointKey, Endpoint] = {}
        self._runtimes: dict[str, str] = {}
        """Base URL of the runtime by region."""
        self._names: dict[str, str] = {}
        self._recording = False
        self.request_log = RequestLog(f"w{max(0, runner.worker_index)}", keep_samples=False)
        self._reporter = Reporter(runner, self.request_log, self._health)
        self.stopping = False
        """Whether the test ends, so that no further invocation starts."""
        runner.register_message(messages.FINISH, self._on_finish, concurrent=True)
        gevent.spawn(self._health.run)
        gevent.spawn(self._report_regularly)

    def begin(self, *, recording: bool) -> None:
        """Begin a test; with ``recording``, its rows are reported."""
        self.stopping = False
        self.request_log.forget()
        self.request_log.inference_prefix = secrets.token_hex(_ID_BYTES)
        self._recording = self.request_log.keep_samples = recording
        self._names.clear()

    def endpoint(self, key: EndpointKey, headers: Mapping[str, str]) -> Endpoint:
        """The endpoint of a key, made once.

        Raises:
            UserError: there are no credentials, or the region, a header, the proxy or the tokenizer is not
                valid.
        """
        if (known := self._endpoints.get(key)) is not None:
            return known
        if self._keeper is None:
            self._keeper = CredentialKeeper()
            gevent.spawn(self._keeper.keep_fresh)
        if key.region not in self._runtimes:
            self._runtimes[key.region] = runtime_url(key.region)
        target = invocation_target(
            key.endpoint,
            region=key.region,
            stream=key.stream,
            route=key.route,
            component=key.component,
            headers=headers,
            text=key.text,
            content_type=key.content_type,
            accept=key.accept,
            runtime=self._runtimes[key.region],
        )
        made = self._endpoints[key] = Endpoint(
            target,
            self._keeper,
            timeouts=key.timeouts,
            on_lag=self._health.on_read,
            **({"count_tokens": token_counter(key.tokenizer)} if key.tokenizer else {}),
            keep_content=not key.text,
        )
        return made

    def tell_name(self, name: str, endpoint: str) -> None:
        """Tell the master, once, which endpoint the invocations of a name go to."""
        if self._recording and name not in self._names:
            self._names[name] = endpoint
            self._runner.send_message(messages.NAME, {"name": name, "endpoint": endpoint})

    def _report_regularly(self) -> None:
        while True:
            gevent.sleep(REPORT_S)
            if self._recording:
                self._report()
            else:
                self.request_log.forget()

    def _report(self) -> None:
        rtts = [rtt for each in self._endpoints.values() if (rtt := each.invokers.rtt_ms) is not None]
        report = self._reporter.next(
            step=None, oldest_start=self.request_log.oldest_start, rtt_ms=min(rtts, default=None)
        )
        self._runner.send_message(messages.REPORT, report)

    def _on_finish(self, msg: Any, **_: object) -> None:
        """Let the invocations in flight end, cut off what is left, and send the last report."""
        self.stopping = True
        deadline = time.monotonic() + msg.data["timeout"]
        while self.request_log.in_flight and time.monotonic() < deadline:
            gevent.sleep(0.01)
        for greenlet in self.request_log.greenlets():
            greenlet.kill(InvocationExit, block=True, timeout=_KILL_S)
        for name, windows in msg.data["windows"].items():
            self.request_log.gaps.split(name, {step: MeasureWindow(*w) for step, w in windows.items()})
        self._report()
        self._recording = False
        if isinstance(self._runner, WorkerRunner):
            self._runner._send_stats()  # now, because the master may be gone when Locust sends them
        self._runner.send_message(messages.FINISHED, {"client_id": self._runner.client_id})


def region_of(region: str | None) -> str:
    """A region, else that of the environment or of the AWS profile.

    Raises:
        UserError: none is set.
    """
    found = region or os.environ.get("AWS_REGION") or botocore.session.Session().get_config_variable("region")
    if not isinstance(found, str) or not found:
        raise UserError("no AWS region is set", "pass --region, or set AWS_REGION")
    return found
