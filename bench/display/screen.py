"""The living screen: a frame at the lower end of a terminal, drawn twice a second by a thread of its own."""

import os
import threading
from collections import deque
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.live import Live

from common.text import printable
from deploy.lifecycle.signals import write_to_stderr

_REFRESH_S = 0.5


def is_screen(console: Console) -> bool:
    """Whether a console is a terminal that can draw frames, and the user wants them."""
    plain = any(os.environ.get(name) for name in ("NO_COLOR", "CI"))
    return console.is_terminal and console.file.isatty() and not console.is_dumb_terminal and not plain


class Screen:
    """Draws frames until it is closed. Lines that are printed meanwhile appear above them.

    The cursor stays visible, so that nothing can leave a terminal without one. When the size of the terminal
    has changed, it is cleared, because it may have wrapped the lines of the last frame.

    Args:
        console: a terminal.
        frame: makes a frame of a width and at most a height.
    """

    def __init__(self, console: Console, frame: Callable[[int, int], RenderableType]) -> None:
        self._console = console
        self._frame = frame
        self._notices: deque[str] = deque()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw_until_ended, name="screen", daemon=True)
        self._live: Live | None = None
        self._size = console.size

    def open(self) -> None:
        """Begin to draw."""
        global _open  # noqa: PLW0603 - the process has one terminal
        _open = self
        self._begin()
        self._thread.start()

    def close(self) -> None:
        """Take the frame away. Safe to call again."""
        global _open  # noqa: PLW0603
        _open = None
        self._ended.set()
        if self._live is not None:
            self._thread.join()
            self._live.stop()
            self._live = None
        self._print_notices()

    def notice(self, text: str) -> None:
        """Print a line soon; safe to call where a signal has interrupted a print."""
        self._notices.append(text)

    def draw(self) -> None:
        """Draw a frame."""
        if self._console.size != self._size:
            if self._live is not None:
                self._live.stop()
            self._console.clear()
            self._begin()
        self._print_notices()
        if self._live is not None:
            self._live.refresh()

    def _begin(self) -> None:
        self._size = self._console.size
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            get_renderable=lambda: self._frame(self._console.width, self._console.height - 1),
        )
        self._live.start()
        self._console.show_cursor(show=True)

    def _draw_until_ended(self) -> None:
        while not self._ended.wait(_REFRESH_S):
            self.draw()

    def _print_notices(self) -> None:
        while self._notices:
            self._console.print(printable(self._notices.popleft()), markup=False, soft_wrap=True)


_open: Screen | None = None


def say_in_signal(text: str) -> None:
    """Print a line from a signal handler, which may have interrupted a print."""
    if _open is not None:
        _open.notice(text)
    else:
        write_to_stderr(text)
