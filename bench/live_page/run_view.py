"""What a display shows of a run around its loads. The run writes it, the page's threads read it."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.live_page.load_feed import LoadFeed
from bench.monitoring.points import Facts
from deploy.lifecycle.progress import OnProgress, Progress

Data = dict[str, Any]
Stage = Literal["check", "workers", "deploy", "prompts", "load", "delete", "cloudwatch", "report", "ended"]

_STOPPABLE = ("workers", "deploy", "prompts", "load")
"""A deletion and a report are the orderly end itself."""
REPORT, SUMMARY = "report.html", "summary.json"


@dataclass
class RunView:
    """How a run stands. Everything is replaced as a whole, so that a reader needs no lock."""

    plan: str = ""
    run_id: str = ""
    rehearsal: bool = False
    """Whether a simulated endpoint answers, so that no figure is of AWS."""
    folder: Path | None = None
    address: str = ""
    """URL of the live page; empty without one."""
    stage: Stage = "check"
    stage_since: float = field(default_factory=time.time)
    instance_type: str = ""
    """Of the endpoint that is being deployed, loaded or deleted."""
    resources: Mapping[tuple[str, str], Data] = field(default_factory=dict)
    """The last report of each AWS resource that was waited for."""
    problems: list[str] = field(default_factory=list)
    answer: str = ""
    """The report's, a line per payload and note."""
    judged: dict[str, Data] = field(default_factory=dict)
    """Step → what the report says of it."""
    exit_code: int | None = None
    stopped: bool = False
    """Whether the run was stopped on the page."""
    signaled: bool = False
    """Whether a signal has ended the run."""
    expected_usd: float | None = None
    max_spend_usd: float | None = None
    spent_usd: Callable[[], float | None] = lambda: None
    """What the run's endpoints have cost so far."""
    loads: Mapping[str, Data] = field(default_factory=dict)
    """Experiment → the last state of its load, in the order in which they began."""
    feed: LoadFeed = field(default_factory=LoadFeed)
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when the page is closed after the run."""

    def enter(self, stage: Stage) -> None:
        """Begin a stage."""
        if stage != self.stage:
            self.stage, self.stage_since = stage, time.time()

    def take_load(self, load: Data) -> None:
        """Take the state of a load."""
        self.loads = {**self.loads, load["experiment"]: load}

    def deploying(self, instance_type: str, report: OnProgress) -> OnProgress:
        """Begin a deployment. The result takes its progress, and the deletion's, and passes both on."""
        self.instance_type = instance_type
        self.enter("deploy")

        def take(progress: Progress) -> None:
            item = progress.item
            if progress.is_deletion:
                self.enter("delete")
            found = {
                "kind": item.kind,
                "name": item.name,
                "state": progress.state,
                "detail": progress.detail,
                "since": time.time() - progress.elapsed_s,
                "usual_s": progress.usual_s,
                "retry_until": progress.retry_until,
            }
            self.resources = {**self.resources, (item.kind, item.name): found}
            report(progress)

        return take

    def take_report(self) -> None:
        """Take the answer and the verdicts from the run folder's report, if there is one."""
        if self.folder is None:
            return
        try:
            summary = json.loads((self.folder / SUMMARY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        self.answer = summary["answer"]
        self.judged = {
            step["id"]: {"slo": _status(step["slo"]), "trust": step["trust"]["level"]}
            for experiment in summary["experiments"]
            for step in experiment["steps"]
        }

    @property
    def can_stop(self) -> bool:
        """Whether a stop would end something."""
        return self.stage in _STOPPABLE and not self.stopped

    def stop(self) -> bool:
        """End the run in order, as Ctrl-C does; once. False if there is nothing to stop."""
        if not self.can_stop:
            return False
        self.stopped = True
        os.kill(os.getpid(), signal.SIGINT)
        return True

    @property
    def facts(self) -> Facts:
        """How the run and its loads stand, for monitoring."""
        return Facts(self.state(), tuple(self.loads.values()))

    def state(self) -> Data:
        """Everything about the run as data."""
        report = self.folder is not None and (self.folder / REPORT).exists()
        return {
            "now": time.time(),
            "id": self.run_id,
            "plan": self.plan,
            "rehearsal": self.rehearsal,
            "folder": "" if self.folder is None else str(self.folder),
            "stage": self.stage,
            "stage_since": self.stage_since,
            "instance_type": self.instance_type,
            "resources": list(self.resources.values()),
            "problems": self.problems,
            "answer": self.answer.splitlines(),
            "judged": self.judged,
            "report": f"../report/{REPORT}" if report else None,
            "exit_code": self.exit_code,
            "can_stop": self.can_stop,
            "stopped": self.stopped,
            "cost": {
                "spent_usd": self.spent_usd(),
                "expected_usd": self.expected_usd,
                "max_spend_usd": self.max_spend_usd,
            },
        }


def _status(slo: Data | None) -> Any:
    """The status of a step's SLO, as text; None where the plan has no limit that it could meet."""
    return slo["status"] if slo and slo["objectives"] else None
