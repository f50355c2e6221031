"""What has changed between two states of a load: the events that plain lines and programs are told."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bench.display import words
from bench.display.words import Data


@dataclass(frozen=True)
class Change:
    """One change. ``subject`` is the step that began its phase or ended, the error, or the search's path."""

    kind: Literal["phase", "step_ended", "error", "search"]
    subject: Data


class LoadChanges:
    """Remembers what was told of the loads of a run."""

    def __init__(self) -> None:
        self._phase: object = None
        self._ended: set[str] = set()
        self._errors: set[tuple[str, str]] = set()
        self._search: Any = (None,)

    def of(self, load: Data) -> Iterator[Change]:
        """What is new in this state, in the order in which it happened."""
        for step in load["steps"]:
            if step["ended_at"] is not None and step["step"] not in self._ended:
                self._ended.add(step["step"])
                yield Change("step_ended", step)
        for error in load["errors"]:
            if (key := (load["experiment"], error["class"])) not in self._errors:
                self._errors.add(key)
                yield Change("error", error)
        path = load["search_path"]
        if path is not None and (found := _found(path)) != self._search:
            self._search = found
            yield Change("search", path)
        step, phase = words.current_step(load), (load["step"], load["phase"])
        if phase != self._phase and step is not None:
            self._phase = phase
            yield Change("phase", step)


def _found(path: Data) -> tuple[object, ...]:
    over = (probe for probe in path["probes"] if not probe["running"])
    return (path["end"], *((probe["step"], probe["verdict"]) for probe in over))
