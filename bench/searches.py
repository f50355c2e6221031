"""The searches of a run, one after the other: each must beat the best price that was confirmed before it."""

from pathlib import Path

from analysis.decide.search.rival import rival_of
from bench.live_search import LiveSearch
from common.errors import writing
from configs.plan import Plan
from runfolder.load_commands import LOAD_COMMAND
from runfolder.manifest import ExperimentEntry, Manifest


class Searches:
    """Begins the search of each experiment, and remembers how those before have ended.

    Args:
        plan: with the search.
        manifest: of the run.
        folder: the run folder.
    """

    def __init__(self, plan: Plan, manifest: Manifest, folder: Path) -> None:
        self._plan, self._manifest, self._folder = plan, manifest, folder
        self._begun: list[tuple[ExperimentEntry, LiveSearch]] = []

    def begin(self, entry: ExperimentEntry) -> LiveSearch:
        """The search of an experiment, with its first command written; the entry gets its rival."""
        entry.rival = rival_of(entry, [(before, search.course) for before, search in self._begun])
        search = LiveSearch(self._plan, self._manifest, entry, self._folder)
        self._begun.append((entry, search))
        with writing(self._folder / LOAD_COMMAND):
            search.begin()
        return search
