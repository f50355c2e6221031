"""What Locust's own CSV files can tell, ours or anybody's; and how our rows compare with them.

Locust rounds response times into buckets (up to 4.8 % off), knows no tokens, and writes whole-run averages:
what cannot be known from them stays absent, with the reason among the problems.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.cost import run_cost
from analysis.measure import price_step
from analysis.metrics import Window, elapsed_ms
from analysis.prices import Prices
from analysis.results import Distribution, ExperimentResult, RunResult, StepResult
from analysis.words import ABSENT, milliseconds
from configs.errors import UserError
from runfolder.records import REQUEST_COLUMNS, WORKER_COLUMNS

_STATS = ("Type", "Name", "Request Count", "Failure Count", "Average Response Time")
_HISTORY = ("Timestamp", "User Count", "Type", "Name", "Total Request Count", "Total Failure Count")
_PERCENTILES = {50: "50%", 90: "90%", 95: "95%", 99: "99%"}
_STREAMED = ("TTFT", "TPOT")
_TEXTS = frozenset({"Name", "Type", "Method", "Error", "First Seen", "Last Seen"})
_MIXED = 0.2
"""More than this share of the time or of the requests at another number of users: of no one level."""
_LEVEL = re.compile(r"/c(\d+)(?:#\d+)?$")
_OURS = re.compile(r"^(.+)/([^/]+)/c(\d+)(?:#\d+)?$")
LIMITS = (
    "Read from Locust's CSV files alone: percentiles come from rounded buckets (up to 4.8 % off) and include "
    "failed requests and warm-up; tokens and intervals cannot be known, nor TTFT and TPOT unless the users "
    "kept them; requests in flight at the end are missing."
)


def load_locust(prefix: Path, prices: Prices = Prices()) -> RunResult:  # noqa: B008 - frozen
    """Read ``PREFIX_stats.csv`` and, where there are, ``_stats_history.csv`` and ``_failures.csv``.

    Raises:
        UserError: there is no statistics file, it is not one of Locust's, or ``prices`` do not fit it.
    """
    stats = _read(prefix, "stats", _STATS)
    if stats is None:
        raise UserError(f"{prefix}_stats.csv: no such file; give Locust's --csv prefix, without _stats.csv")
    problems = [LIMITS]
    history = _read(prefix, "stats_history", _HISTORY)
    failures = _read(prefix, "failures", ("Name", "Error", "Occurrences"))
    if history is None:
        problems.append("There is no usable _stats_history.csv: throughput is unknown.")
    if failures is None:
        problems.append("There is no usable _failures.csv: errors have no classes.")
    named = (stats["Name"].fillna("") != "") & (stats["Name"] != "Aggregated")
    stats = stats[named & (stats["Request Count"] > 0)]
    rows, streams = _requests(stats), stats[stats["Type"].isin(_STREAMED)]
    steps = [
        _step(row, (prefix.name, i), _own_history(row, history, len(rows)), failures)
        for i, row in enumerate(_records(rows))
    ]
    _streams(steps, _records(streams))
    experiments = _experiments(steps, prefix.name, prices)
    if any(step.per_minute is None for step in steps) and history is not None:
        problems.append("Run Locust with --csv-full-history to know the throughput of each name.")
    times = [] if history is None else [float(history["Timestamp"].min()), float(history["Timestamp"].max())]
    return RunResult(
        run_id=prefix.name, plan={"name": prefix.name}, notices=[LIMITS], rehearsal=False, state="complete",
        started_at=times[0] if times else None, ended_at=times[1] if times else None,
        experiments=experiments, problems=problems[1:], objectives=[], error_rate_slo=None,
        rows=pd.DataFrame(columns=list(REQUEST_COLUMNS)), workers=pd.DataFrame(columns=list(WORKER_COLUMNS)),
        cloudwatch=pd.DataFrame(), source="locust",
    )  # fmt: skip


def read_stats(prefix: Path) -> pd.DataFrame | None:
    """Locust's statistics, one row per name; None when there is no usable file."""
    return _read(prefix, "stats", _STATS)


def _read(prefix: Path, kind: str, needed: tuple[str, ...]) -> pd.DataFrame | None:
    path = prefix.with_name(f"{prefix.name}_{kind}.csv")
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, on_bad_lines="skip")
    except FileNotFoundError:
        return None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError):
        frame = pd.DataFrame()
    if any(name not in frame.columns for name in needed):
        if kind == "stats":
            raise UserError(
                f"{path} is not one of Locust's statistics files: {', '.join(needed)} are expected"
            )
        return None
    for name in frame.columns:
        if name not in _TEXTS:  # a request may be called NA, a number may not
            frame[name] = pd.to_numeric(frame[name], errors="coerce")
    return frame


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _step(
    row: dict[str, object],
    place: tuple[str, int],
    own: pd.DataFrame | None,
    failures: pd.DataFrame | None,
) -> StepResult:
    name = str(row["Name"])
    count, failed = int(_float(row, "Request Count") or 0), int(_float(row, "Failure Count") or 0)
    match = _LEVEL.search(name)
    step = StepResult(
        id=name,
        experiment=place[0],
        ordinal=place[1],
        concurrency=int(match[1]) if match else None,
        state="complete",
        window_ok=count - failed,
        window_failed=failed,
        step_ok=count - failed,
        step_failed=failed,
        error_rate=failed / count if count else None,
        error_classes=_classes(name, failures),
    )
    if (described := _distribution(row)) is not None:
        step.latency["e2e"] = described
    _throughput(step, own)
    step.verdict.add(
        "warn",
        "locust_figures_only",
        "Locust's figures alone: whole-step averages with warm-up, bucketed percentiles",
    )
    return step


def _experiments(steps: list[StepResult], run: str, prices: Prices) -> list[ExperimentResult]:
    """Our names say instance and payload; all others belong to one experiment named after the run."""
    found: dict[str, ExperimentResult] = {}
    for step in steps:
        match = _OURS.match(step.id)
        instance, payload = (match[1], match[2]) if match else (run, "unknown")
        step.experiment = f"{instance}/{payload}" if match else run
        experiment = found.setdefault(
            step.experiment,
            ExperimentResult(
                name=step.experiment, model=run, instance_type=instance, instance=instance, instance_count=1,
                payload=payload, payload_file=payload, price=prices.quote(instance), steps=[],
                state="complete",
                cost=run_cost(None, 1, created=None, in_service=None, load=(None, None), deleted=None),
            ),
        )  # fmt: skip
        experiment.steps.append(step)
        price_step(step, experiment.usd_per_hour, experiment.instance_count)
    prices.check(experiment.instance_type for experiment in found.values())
    return list(found.values())


def _requests(stats: pd.DataFrame) -> pd.DataFrame:
    """Only rows of requests: our own users also keep TTFT and TPOT as entries of those types."""
    return stats[~stats["Type"].isin(_STREAMED)]


def _streams(steps: list[StepResult], rows: list[dict[str, object]]) -> None:
    """TTFT and TPOT where the users kept them."""
    by_name = {step.id: step for step in steps}
    for row in rows:
        step, described = by_name.get(str(row["Name"])), _distribution(row)
        if step is not None and described is not None:
            step.latency[str(row["Type"]).lower()] = described


def _distribution(row: dict[str, object]) -> Distribution | None:
    """Locust's figures of one row, rounded as they are; None without a mean."""
    mean, count = _float(row, "Average Response Time"), int(_float(row, "Request Count") or 0)
    if mean is None or not count:
        return None
    percentiles = {p: v for p, column in _PERCENTILES.items() if (v := _float(row, column)) is not None}
    low, high = _float(row, "Min Response Time"), _float(row, "Max Response Time")
    return Distribution(count, mean, None, low or 0.0, high or 0.0, percentiles, {}, bucketed=True)


def _own_history(row: dict[str, object], history: pd.DataFrame | None, names: int) -> pd.DataFrame | None:
    """The history of one name; the aggregate stands for it when it is the only one."""
    if history is None:
        return None
    own = history[(history["Name"] == row["Name"]) & (history["Type"] == row.get("Type"))]
    if not len(own) and names == 1:
        own = history[history["Name"] == "Aggregated"]
    return own.sort_values("Timestamp")


def _throughput(step: StepResult, own: pd.DataFrame | None) -> None:
    """Ok requests per minute while the name's count grew and its users were all there."""
    if own is None or len(own) < 2:
        return
    active = np.flatnonzero(np.diff(own["Total Request Count"].to_numpy(dtype=float)) > 0)
    if not len(active):
        return
    span = own.iloc[active[0] : active[-1] + 2]
    users = span["User Count"]
    full = span[users == users.mode().iloc[0]]
    if _mixed(span):
        levels = f"{int(users.min())} to {int(users.max())}"
        step.verdict.add(
            "void",
            "users_varied",
            f"the number of users varied ({levels}) while these requests were sent under one name, so "
            "no figure is of one concurrency: give each level a name or a run of its own",
        )
        full = span
    else:
        step.concurrency = step.concurrency or int(full["User Count"].iloc[0])
    done = (full["Total Request Count"] - full["Total Failure Count"]).to_numpy(dtype=float)
    at = full["Timestamp"].to_numpy(dtype=float)
    grew = np.flatnonzero(np.diff(done) > 0)
    if not len(grew):
        return
    first, last = grew[0], grew[-1] + 1
    if at[last] > at[first]:
        step.window = Window(float(at[first]), float(at[last]))
        step.completions = int(done[last] - done[first])
        step.per_minute = 60 * step.completions / step.window.seconds


def _mixed(span: pd.DataFrame) -> bool:
    """Whether much of the time or of the requests fell under another number of users than the usual one."""
    users = span["User Count"].to_numpy(dtype=float)
    at, sent = (span[name].to_numpy(dtype=float) for name in ("Timestamp", "Total Request Count"))
    other = users[:-1] != float(span["User Count"].mode().iloc[0])
    passed = (np.diff(at), np.diff(sent))
    return any(float(each[other].sum()) > _MIXED * float(each.sum()) for each in passed)


def _classes(name: str, failures: pd.DataFrame | None) -> dict[str, int]:
    if failures is None:
        return {}
    own = failures[failures["Name"] == name].sort_values("Occurrences", ascending=False)
    return {str(e)[:80]: int(n) for e, n in zip(own["Error"], own["Occurrences"], strict=True)}


def _float(row: dict[str, object], key: str) -> float | None:
    value = row.get(key)
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


@dataclass(frozen=True)
class Reconciled:
    """One step: our rows beside Locust's own row of the same name."""

    step: str
    rows: str
    locust: str
    failed_rows: str
    locust_failures: str
    mean: str
    locust_mean: str
    agrees: bool


def reconcile(step: StepResult, rows: pd.DataFrame, stats: pd.DataFrame) -> Reconciled | None:
    """Compare one step with Locust's row of that name; None when Locust has none.

    Counts must be equal. Means may differ by 1 %: both are of how long every request took, failed and cut-off
    ones too. Where an older record does not say how long those took, there is no mean to compare.
    """
    found = _requests(stats)
    found = found[found["Name"] == step.id]
    if not len(found):
        return None
    row = _records(found)[0]
    ours = step.step_ok + step.step_failed + step.step_censored
    bad = step.step_failed + step.step_censored
    theirs, failures = int(_float(row, "Request Count") or 0), int(_float(row, "Failure Count") or 0)
    took = elapsed_ms(rows)
    mean = float(took.mean()) if len(took) else float("nan")
    locust_mean = _float(row, "Average Response Time")
    known = locust_mean is not None and np.isfinite(mean)
    close = not known or abs(mean - (locust_mean or 0.0)) <= 0.01 * max(mean, 1.0)
    return Reconciled(
        step=step.id,
        rows=f"{ours:,}",
        locust=f"{theirs:,}",
        failed_rows=f"{bad:,}",
        locust_failures=f"{failures:,}",
        mean=milliseconds(mean) if np.isfinite(mean) else ABSENT,
        locust_mean=milliseconds(locust_mean),
        agrees=ours == theirs and bad == failures and close,
    )


def disagreement(found: Reconciled) -> str:
    """What a step's verdict says when the two do not agree."""
    return (
        f"Locust's CSV says {found.locust} requests, {found.locust_failures} failed, mean "
        f"{found.locust_mean}; "
        f"the rows say {found.rows}, {found.failed_rows} failed or cut off, mean {found.mean}"
    )
