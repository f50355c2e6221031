"""The steps of a search, which come one by one: read from the commands in the run folder."""

from collections import Counter
from pathlib import Path

from common.exit_codes import ExitCode
from configs.experiment import Step
from locustfiles.master.worker_group import RunEndedError
from runfolder.search_commands import SEARCH_COMMAND, SearchCommand, read_search_command


class SearchSteps:
    """Reads the commands of a search.

    Args:
        experiment: name of the experiment, which begins the ids of its steps.
        folder: the run folder.
    """

    def __init__(self, experiment: str, folder: Path) -> None:
        self._experiment = experiment
        self._folder = folder
        self._seen: Counter[str] = Counter()
        self._stamp: int | None = None
        self._command: SearchCommand | None = None

    def is_closed(self, ordinal: int) -> bool:
        """Whether the measurement of a step is to end now."""
        command = self._read()
        return command is not None and command.at == ordinal

    def is_over(self, ordinal: int) -> bool:
        """Whether the command that follows a step has come."""
        command = self._read()
        return command is not None and command.at == ordinal and command.action != "close"

    def following(self, ordinal: int) -> Step | None:
        """The step that follows; None at the end of the search."""
        command = self._read()
        if command is None or command.at != ordinal or command.action != "play":
            return None
        level = f"c{command.concurrency}" if command.rate is None else f"r{command.rate:g}"
        self._seen[level] += 1
        again = f"#{self._seen[level]}" if self._seen[level] > 1 else ""
        return Step(
            id=f"{self._experiment}/{level}{again}",
            concurrency=command.concurrency,
            rate=command.rate,
            purpose=command.purpose,
        )

    def _read(self) -> SearchCommand | None:
        """The command, read again when the file has changed.

        Raises:
            RunEndedError: the file holds no valid command.
        """
        try:
            stamp = (self._folder / SEARCH_COMMAND).stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if stamp != self._stamp:
            try:
                self._command = read_search_command(self._folder)
            except ValueError as error:
                raise RunEndedError(ExitCode.FAILED, str(error)) from None
            self._stamp = stamp
        return self._command
