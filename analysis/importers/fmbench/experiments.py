"""What FMBench's experiments ran on: instances, models and their part of the bill."""

import re
from collections import defaultdict
from collections.abc import Sequence

from analysis.importers.command_line_prices import Prices
from analysis.importers.fmbench.levels import FmbenchLevel, payload_name
from analysis.importers.fmbench.records import RecordError, number
from analysis.measure.results import ExperimentResult
from analysis.metrics.cost import RunCost
from runfolder.manifest import ExperimentEntry

_INSTANCE = re.compile(r"\b(?:ml\.)?((?:g|p|inf|trn)\d\w*\.\d*x?large)\b")
_STAMP = re.compile(r"-\d{4}(-\d{2}){5}-\d+$|-\d{9,}(-\d+)?$")
Columns = dict[str, str]
ON_RECORD = (
    "from an endpoint's first burst to its last record, shared by the load of its payloads; "
    "when it was created and deleted is not on record"
)
NOT_ON_RECORD = "nothing: the files hold no times, so what the endpoint cost is not known"


def describe_experiments(
    levels: Sequence[FmbenchLevel], columns: dict[str, Columns], prices: Prices
) -> list[ExperimentEntry]:
    """One entry per experiment × payload. With several models each payload is named with its model.

    Different models are no alternatives: what is cheaper is not what answers better. So steps of different
    models never compete for one payload.
    """
    models = {level.key[0]: model_of(level.key[0], columns.get(level.key[0], {})) for level in levels}
    several = len({name.lower() for name in models.values()}) > 1
    entries: dict[str, ExperimentEntry] = {}
    for level in levels:
        if level.experiment in entries:
            continue
        name, payload, _ = level.key
        known = columns.get(name, {})
        instance = instance_of(name, known)
        entries[level.experiment] = ExperimentEntry(
            name=level.experiment,
            model=models[name],
            instance_type=instance,
            instance_count=_count(known),
            payload=payload_name(payload) + (f" ({models[name]})" if several else ""),
            payload_file=payload,
            price=prices.quote(instance),
            state="complete",
        )
    return list(entries.values())


def model_of(experiment: str, known: Columns) -> str:
    """The model: its hub id or its resource's name without the time stamp, else the experiment's name.

    Of the experiment's name only what stands before its instance type counts: the rest names the container.
    """
    hub = known.get("HF_MODEL_ID", "")
    resource = _STAMP.sub("", known.get("ModelName", ""))
    match = _INSTANCE.search(experiment)
    before = experiment[: match.start()].strip("-_ ./") if match else experiment
    after = experiment[match.end() :].strip("-_ ./") if match else ""
    named = before or after or experiment
    if hub and not hub.startswith("/"):
        return hub
    return named if not resource or _INSTANCE.search(resource) else resource


def instance_of(experiment: str, known: Columns) -> str:
    """The instance type from the CSV's column, else from the experiment's name, else ``unknown``."""
    match = _INSTANCE.search(experiment)
    return known.get("instance_type") or (f"ml.{match[1]}" if match else "unknown")


def _count(known: Columns) -> int:
    try:
        return int(number(known, "instance_count") or 1)
    except RecordError:
        return 1


def share_bills(experiments: Sequence[ExperimentResult], levels: Sequence[FmbenchLevel]) -> None:
    """Give each experiment its part of its endpoint's bill.

    Formula: $/h × instances × span / 3600 × own load / load of all on the endpoint; span from the start of
    the endpoint's first burst to its last record.
    Unit: seconds and US dollars; absent where the record holds no times.
    Source: an endpoint is billed once, however many payloads took turns on it.
    """
    by_endpoint: dict[str, list[FmbenchLevel]] = defaultdict(list)
    for level in levels:
        endpoint = next((e for group in level.groups if (e := group.endpoint)), None)
        by_endpoint[endpoint or level.key[0]].append(level)
    costs: dict[str, RunCost] = {}
    results = {experiment.name: experiment for experiment in experiments}
    for own in by_endpoint.values():
        loads: dict[str, float] = defaultdict(float)
        for level in own:
            loads[level.experiment] += level.load_s
        span = _span(own)
        total = sum(loads.values())
        for name, load in loads.items():
            experiment = results[name]
            if span is None or not total:
                costs[name] = RunCost(None, None, load, None, None, NOT_ON_RECORD)
                continue
            billed = max(span, total) * load / total
            hourly = experiment.usd_per_endpoint_hour
            usd = None if hourly is None else hourly * billed / 3600
            costs[name] = RunCost(billed, None, load, billed - load, usd, ON_RECORD)
    for name, cost in costs.items():
        results[name].cost = cost


def _span(levels: Sequence[FmbenchLevel]) -> float | None:
    began = [t for level in levels if (t := level.began_at) is not None]
    ended = [t for level in levels if (t := level.ended_at) is not None]
    return max(ended) - min(began) if began and ended else None
