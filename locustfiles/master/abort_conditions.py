"""What ends a run before its last step: an interrupt, a fault on this side, or an endpoint that refuses."""

from collections import Counter

from common.exit_codes import ExitCode
from configs.experiment import Experiment
from locustfiles.client.error_classes import container_remedy, explain_refusal
from locustfiles.interrupts import Interrupts
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.worker_group import RunEndedError

_MIN_FAILURES_TO_ABORT = 5
"""Failures before the first answer of a run after which no more requests are sent."""


class AbortConditions:
    """Checks, while a step waits, whether the run should go on."""

    def __init__(self, experiment: Experiment, collector: ReportCollector, interrupts: Interrupts) -> None:
        self._experiment = experiment
        self._collector = collector
        self._interrupts = interrupts
        self.failure: RunEndedError | None = None
        """Set when something beside the steps has failed."""

    def check(self) -> None:
        """Check everything that ends a run at once.

        Raises:
            RunEndedError: the run was interrupted, something on this side failed, or the endpoint refuses.
        """
        collector = self._collector
        if self._interrupts.count:
            raise RunEndedError(ExitCode.INTERRUPTED, "interrupted")
        if self.failure is not None:
            raise self.failure
        if collector.fatal is not None:
            experiment = self._experiment
            finding, remedy = explain_refusal(collector.fatal, experiment.region, experiment.endpoint_name)
            raise RunEndedError(ExitCode.REFUSED, finding, remedy)
        if (unwritable := collector.unwritable) is not None:
            raise RunEndedError(ExitCode.FAILED, unwritable.finding, unwritable.remedy)
        if (reason := collector.breaker.trip_reason()) is not None:
            raise RunEndedError(ExitCode.REFUSED, f"the endpoint stopped answering: {reason}")

    def check_any_answered(self) -> None:
        """Check that an endpoint that failed several requests has also answered one.

        Raises:
            RunEndedError: at least five requests of this run have failed, and none was answered.
        """
        tallies = self._collector.steps.values()
        failed = sum(tally.failed for tally in tallies)
        if failed < _MIN_FAILURES_TO_ABORT or any(tally.ok for tally in tallies):
            return
        most_common = sum((tally.errors for tally in tallies), Counter[str]()).most_common(1)
        cause = most_common[0][0] if most_common else "no reason given"
        schema = self._experiment.request_schema
        raise RunEndedError(
            ExitCode.REFUSED,
            f"none of the first {failed} requests was answered: {cause}",
            container_remedy(cause)
            or f"if the container does not read requests in the {schema} schema, set workload.schema",
        )
