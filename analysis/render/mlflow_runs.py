"""A report as MLflow's runs: one for the run, and below it one per experiment, with users as the x axis.

Pure: from ``summary.json`` and the manifest to parameters, metrics and tags. `bench.mlflow_log` sends them.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from analysis.measure.results import LEVELS
from analysis.render.run_facts import image_name
from runfolder.manifest import Manifest

Status = Literal["FINISHED", "FAILED", "KILLED"]
LONGEST = 5000
"""Characters of a tag that every MLflow of the last years takes."""

_STATUS: dict[str, Status] = {"complete": "FINISHED", "failed": "FAILED"}
_SUITE = "sagemaker-llm-bench"
_AXES = {"users": "users", "rate": "arrivals per minute", "piece": "piece of the shape"}
_DEPLOYED = ("model", "instance_type", "instance_label", "instance_count", "payload", "payload_file")
_LEFT_OUT = ("trust", "slo", "whole_step", "answers", "finish_reasons", "token_sources", "conversations")
"""Parts of a step that would each be a chart on the page of MLflow. ``summary.json`` has them."""
_DETAILS = ("n", "std", "min", "max", "p90_certified", "p95_certified", "p99_certified")
"""Keys of a distribution that are left out for the same reason."""


class Point(NamedTuple):
    """A figure at a level of load, under its name in ``summary.csv``."""

    key: str
    value: float
    level: int
    """MLflow's step: users, arrivals per minute, or the number of a piece."""


@dataclass(frozen=True)
class LoggedRun:
    """What one run of MLflow's is to hold."""

    name: str
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)


@dataclass(frozen=True)
class LoggedReport:
    """A parent run with its children, and what all of them share."""

    key: str
    """The same for every report of a run, and for no other run."""
    digest: str
    """Of all figures: the same only for the same report."""
    status: Status
    started_ms: int | None
    ended_ms: int | None
    parent: LoggedRun
    children: list[LoggedRun]


def logged_report(summary: Mapping[str, Any], manifest: Manifest | None) -> LoggedReport:
    """The runs of a report.

    Args:
        summary: the content of ``summary.json``.
        manifest: of the run folder; None for results of other tools.
    """
    run = summary["run"]
    identity = f"{run['id']}|{run['started_at']}"
    return LoggedReport(
        key=_digest(identity),
        digest=_digest(json.dumps(summary, sort_keys=True)),
        status=_STATUS.get(run["state"], "KILLED"),
        started_ms=_milliseconds(run["started_at"]),
        ended_ms=_milliseconds(run["ended_at"]),
        parent=_parent(summary, manifest),
        children=[
            child
            for experiment in summary["experiments"]
            for child in _children(summary, experiment, manifest)
        ],
    )


def _parent(summary: Mapping[str, Any], manifest: Manifest | None) -> LoggedRun:
    experiments = summary["experiments"]
    slo = summary["run"]["slo"]
    params = {
        **{key: _each(e[key] for e in experiments) for key in _DEPLOYED},
        "container": _each(image_name(e.endpoint) for e in manifest.experiments) if manifest else "",
        "slo": "; ".join(
            f"{o['metric']} {o['statistic']} ≤ {o['limit_ms']:g} ms"
            + (f" ({o['part']})" if o["part"] else "")
            for o in slo["objectives"]
        ),
        "error_rate_limit": "" if slo["error_rate"] is None else f"{slo['error_rate']:g}",
        **_of_run(summary, manifest),
    }
    points = [
        Point(_key(f"{prefix}{name}"), value, level)
        for choice in summary["choices"]
        for prefix in ["" if len(summary["choices"]) == 1 else f"{choice['payload']}/"]
        for name, value, level in _recommended(summary, choice)
    ]
    levels = [step["trust"]["level"] for e in experiments for step in e["steps"]]
    tags = _shared_tags(summary) | {
        "trust": max(levels, key=LEVELS.index, default="void"),
        "answer": summary["answer"],
        "state": summary["run"]["state"],
    }
    return LoggedRun(summary["run"]["id"], _texts(params), _texts(tags), points)


def _recommended(summary: Mapping[str, Any], choice: Mapping[str, Any]) -> Iterator[Point]:
    """The figures of the recommended step; of pooled repetitions only those that the choice itself has."""
    best = choice["best"]
    if best is None:
        return
    [step] = [s for e in summary["experiments"] for s in e["steps"] if s["id"] == best["step"]]
    _, level = _level(step)
    pooled = len(best["repetitions"]) > 1
    own = {key: best[key] for key in ("concurrency", "rate", "usd_per_request")}
    figures = {} if pooled else dict(_figures(step))
    for name, value in (figures | {key: value for key, value in own.items() if value is not None}).items():
        yield Point(name, value, level)


def _children(
    summary: Mapping[str, Any], experiment: Mapping[str, Any], manifest: Manifest | None
) -> Iterator[LoggedRun]:
    """One run per experiment. Steps of an open loop get their own: rates and users share no axis."""
    entry = (
        next((e for e in manifest.experiments if e.name == experiment["name"]), None) if manifest else None
    )
    kinds = list(dict.fromkeys(_level(step)[0] for step in experiment["steps"]))
    best = [choice["best"]["step"] for choice in summary["choices"] if choice["best"]]
    for kind in kinds:
        steps = [step for step in experiment["steps"] if _level(step)[0] == kind]
        params = {
            **{key: experiment[key] for key in _DEPLOYED},
            "usd_per_hour": experiment["price"]["usd_per_hour"],
            "price_source": experiment["price"]["source"],
            "price_assumed": experiment["price"]["assumption"],
            "container": image_name(entry.endpoint) if entry else None,
            "endpoint": entry.endpoint_name if entry else None,
            **_of_run(summary, manifest),
        }
        tags = _shared_tags(summary) | {
            "x_axis": _AXES[kind],
            "trust": max((step["trust"]["level"] for step in steps), key=LEVELS.index),
            "state": experiment["state"],
            "error": experiment["error"],
            "recommended_step": _each(step["id"] for step in steps if step["id"] in best),
        }
        tags |= {f"trust.{_own_name(experiment, step)}": _trust(step) for step in steps}
        points = [
            Point(_key(name), value, _level(step)[1])
            for step in steps
            if step["trust"]["level"] != "void"
            for name, value in _figures(step)
        ]
        name = experiment["name"] if len(kinds) == 1 else f"{experiment['name']} by {_AXES[kind]}"
        yield LoggedRun(name, _texts(params), _texts(tags), points)


def _level(step: Mapping[str, Any]) -> tuple[str, int]:
    """What a step's load is counted in, and its level as the whole number that MLflow takes."""
    if step["piece"] is not None:
        return "piece", step["piece"]
    if step["rate"] is not None:
        return "rate", round(60 * step["rate"])
    return "users", step["concurrency"] or 0


def _figures(step: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a step, nested keys joined as in ``summary.csv``. What was not measured is left out."""
    for key, value in step.items():
        if key in _LEFT_OUT:
            continue
        inner = (
            {f"{key}_{name}": v for name, v in value.items() if name not in _DETAILS}
            if isinstance(value, dict)
            else {key: value}
        )
        for name, figure in inner.items():
            if isinstance(figure, int | float) and not isinstance(figure, bool):
                yield name, float(figure)


def _trust(step: Mapping[str, Any]) -> str:
    trust = step["trust"]
    return " ".join([trust["level"], *(reason["code"] for reason in trust["reasons"])])


def _own_name(experiment: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    return str(step["id"]).removeprefix(f"{experiment['name']}/")


def _of_run(summary: Mapping[str, Any], manifest: Manifest | None) -> dict[str, Any]:
    """Parameters that all runs of a report share."""
    known = {"plan": summary["run"]["plan"], "source": summary["run"]["source"]}
    if manifest is None:
        return known
    return known | {
        "plan_sha256": hashlib.sha256(json.dumps(manifest.plan, sort_keys=True).encode()).hexdigest(),
        "suite_version": manifest.versions.get(_SUITE),
        "seed": manifest.seed,
    }


def _shared_tags(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What must stand on every run: the run it belongs to, and what its figures are not."""
    notices = summary["run"]["notices"]
    rehearsal = summary["run"]["rehearsal"]
    warning = ["**Rehearsal: a simulated endpoint. None of these figures is from AWS.**"] if rehearsal else []
    return {
        "llm_bench.run": summary["run"]["id"],
        "rehearsal": str(rehearsal).lower(),
        "mlflow.note.content": "\n\n".join([*warning, *notices, summary["answer"]]),
        "mlflow.source.name": "llm-bench",
    }


def _each(values: Iterator[Any]) -> str:
    """The distinct values that are known."""
    return ", ".join(dict.fromkeys(str(value) for value in values if value))


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """As MLflow takes them: texts of bounded length. What is not known is left out."""
    return {
        _key(key): text if len(text := str(value)) <= LONGEST else text[: LONGEST - 1] + "…"
        for key, value in values.items()
        if value not in (None, "")
    }


def _key(name: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)[:250]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _milliseconds(utc: str | None) -> int | None:
    try:
        moment = datetime.strptime(utc or "", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:  # not in the source files
        return None
    return round(1000 * moment.timestamp())
