"""The levels of one FMBench run: each experiment × payload × concurrency, with its measured bursts."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from analysis.importers.fmbench.bursts import MeasuredBurst, measured
from analysis.importers.fmbench.echo import Echo, counts_follow, find_echo, without_prompt
from analysis.importers.fmbench.records import RequestRecord
from analysis.importers.fmbench.runs import BurstGroup
from analysis.measure.results import StepResult
from common.formatting import plural

Key = tuple[str, str, int]
"""Experiment, payload file, concurrency."""


@dataclass
class FmbenchLevel:
    """One concurrency of one experiment and payload."""

    key: Key
    groups: list[BurstGroup] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)
    by_file_times: int = 0
    """Bursts of which only the times of the files say how long they took."""
    bursts: list[MeasuredBurst] = field(default_factory=list)
    requests: list[list[RequestRecord]] = field(default_factory=list)
    """The requests of each burst, with the tokens that the model generated; empty where none is on record."""
    echo: Echo | None = None
    counts_follow: bool = False

    @property
    def experiment(self) -> str:
        """FMBench's experiment and the payload: what the report calls an experiment."""
        return f"{self.key[0]}/{payload_name(self.key[1])}"

    @property
    def step(self) -> str:
        """The step's id."""
        return f"{self.experiment}/c{self.key[2]}"

    @property
    def load_s(self) -> float:
        """Seconds of all bursts, as far as they are known."""
        return sum(s or 0.0 for s in self.seconds)

    @property
    def began_at(self) -> float | None:
        """When the first burst began, in epoch seconds; None in the CSV form."""
        at = self.groups[0].record.recorded_at
        if at is None:
            return None
        return at if self.groups[0].guessed else at - (self.seconds[0] or 0.0)

    @property
    def ended_at(self) -> float | None:
        """When the last file was written, in epoch seconds."""
        return max((t for group in self.groups if (t := group.last_write) is not None), default=None)


def payload_name(file: str) -> str:
    """``en_1000-2000`` for ``payload_en_1000-2000.jsonl``."""
    return Path(file).stem.removeprefix("payload_")


def measure_levels(
    groups: list[BurstGroup], seconds: list[float | None], by_file_times: set[int]
) -> list[FmbenchLevel]:
    """The levels of a run, each with its bursts in order; completions that repeat their prompt are corrected.

    Args:
        groups: the bursts of the run.
        seconds: how long each took.
        by_file_times: indices of bursts of which only the times of the files say so.
    """
    levels: dict[Key, FmbenchLevel] = {}
    for index, group in enumerate(groups):
        key = (group.record.experiment, group.payload, group.record.concurrency)
        level = levels.setdefault(key, FmbenchLevel(key))
        level.groups.append(group)
        level.seconds.append(seconds[index])
        level.by_file_times += index in by_file_times
    by_experiment: dict[str, list[FmbenchLevel]] = defaultdict(list)
    for level in levels.values():
        by_experiment[level.key[0]].append(level)
    for own in by_experiment.values():
        echo = find_echo([r for level in own for group in level.groups for r in group.requests])
        for level in own:
            _measure(level, echo)
    return [levels[key] for key in sorted(levels)]


def _measure(level: FmbenchLevel, echo: Echo | None) -> None:
    for group, seconds in zip(level.groups, level.seconds, strict=True):
        requests = group.requests
        if echo is not None:
            requests = [without_prompt(request, echo) for request in requests]
        level.requests.append(requests)
        level.bursts.append(measured(replace(group, requests=requests), seconds))
    level.echo = echo
    if echo is None and not any(r.has_text for requests in level.requests for r in requests):
        _forget_following_counts(level)


def _forget_following_counts(level: FmbenchLevel) -> None:
    """Without any text, completions that follow their prompts are not taken for output."""
    sums = [(b.prompt_tokens, b.completion_tokens) for b in level.bursts if b.ok]
    known = [(prompt, output) for prompt, output in sums if prompt is not None and output is not None]
    prompts, outputs = (np.array([pair[i] for pair in known], dtype=float) for i in (0, 1))
    if counts_follow(prompts, outputs):
        level.counts_follow = True
        level.bursts = [replace(burst, completion_tokens=None) for burst in level.bursts]
        level.requests = [[replace(r, completion_tokens=None) for r in own] for own in level.requests]


def check_level(step: StepResult, level: FmbenchLevel) -> None:
    """Add a trust reason for what FMBench's records do not say, and for what was corrected."""
    unknown = sum(seconds is None for seconds in level.seconds)
    if unknown:
        step.trust.add(
            "void",
            "burst_time_unknown",
            f"the record does not say how long {plural(unknown, 'burst')} took: rates and cost are not known",
            bursts=unknown,
        )
    if level.by_file_times:
        step.trust.add(
            "warn",
            "burst_time_from_files",
            f"only the times of the files say how long {plural(level.by_file_times, 'failed burst')} took",
            bursts=level.by_file_times,
        )
    echo = level.echo
    if echo is not None:
        step.trust.add(
            "warn",
            "prompt_in_completion",
            f"completions repeat their prompts ({echo.answers} of {echo.of}): output tokens are completion "
            "less prompt tokens",
            answers=echo.answers,
            of=echo.of,
            evidence=echo.evidence,
        )
    if level.counts_follow:
        step.trust.add(
            "warn",
            "prompt_in_completion",
            "completion counts follow the prompt counts, so completions seem to repeat their prompts: "
            "the number of output tokens is not known",
            evidence="counts",
        )
    if any(b.ok and b.prompt_tokens is None for b in level.bursts):
        step.trust.add(
            "warn",
            "prompt_tokens_unknown",
            "the prompt tokens of answered requests are not known: the record holds them only "
            "together with those of failed requests",
        )
