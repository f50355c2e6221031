"""Reads what `bench` tells the load, from the file in the run folder."""

from pathlib import Path

from common.exit_codes import ExitCode
from locustfiles.master.worker_group import RunEndedError
from runfolder.load_commands import LOAD_COMMAND, LoadCommand, read_load_command


class CommandReader:
    """The last command, read again when its file has changed.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: int | None = None
        self._command: LoadCommand | None = None

    def at(self, ordinal: int) -> LoadCommand | None:
        """The command for a step; None where there is none.

        Raises:
            RunEndedError: the file holds no valid command.
        """
        command = self._read()
        return command if command is not None and command.at == ordinal else None

    def is_warm(self, ordinal: int) -> bool:
        """Whether the warm-up of a step is to end now."""
        command = self.at(ordinal)
        return command is not None and command.action == "measure"

    def is_closed(self, ordinal: int) -> bool:
        """Whether the measurement of a step is to end now."""
        command = self.at(ordinal)
        return command is not None and command.action in ("close", "play", "end")

    def _read(self) -> LoadCommand | None:
        try:
            stamp = (self._folder / LOAD_COMMAND).stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if stamp != self._stamp:
            try:
                self._command = read_load_command(self._folder)
            except ValueError as error:
                raise RunEndedError(ExitCode.FAILED, str(error)) from None
            self._stamp = stamp
        return self._command
