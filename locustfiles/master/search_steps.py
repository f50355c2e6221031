"""The steps of a search, which come one by one, with the commands of `bench`."""

from collections import Counter

from configs.experiment import Step
from locustfiles.master.command_reader import CommandReader


class SearchSteps:
    """Makes steps of the commands of a search.

    Args:
        experiment: name of the experiment, which begins the ids of its steps.
        commands: to the load.
    """

    def __init__(self, experiment: str, commands: CommandReader) -> None:
        self._experiment = experiment
        self._commands = commands
        self._seen: Counter[str] = Counter()

    def is_over(self, ordinal: int) -> bool:
        """Whether the command that follows a step has come."""
        command = self._commands.at(ordinal)
        return command is not None and command.action in ("play", "end")

    def following(self, ordinal: int) -> Step | None:
        """The step that follows; None at the end of the search."""
        command = self._commands.at(ordinal)
        if command is None or command.action != "play":
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
