"""Load shapes for plain Locust, within the users and the run time of the web form or the command line.

With ``--class-picker``, Locust's web form offers them; ``--shape NAME`` chooses one on the command line. A
locustfile that imports one of them uses it.
"""

from locust import LoadTestShape
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from collections.abc import Callable
from typing import Any, ClassVar

from locustfiles import shape_levels

__all__ = ["Doubling", "Ramp", "Spike"]

_RUN_TIME_S = 300.0
"""Where no run time is asked for."""


class _Levels(LoadTestShape):
    """A shape of levels that follow each other, each a number of users."""

    abstract = True
    use_common_options = True
    """The form keeps its fields for users, spawn rate and run time."""
    levels: ClassVar[Callable[[float, int], int]]
    """The users at a moment, of the part of the run time that has passed and the most users."""

    def tick(self) -> tuple[int, float] | None:
        """Users and spawn rate; None at the end."""
        options: Any = self.runner.environment.parsed_options if self.runner else None
        users = getattr(options, "num_users", None) or 1
        run_time_s = float(getattr(options, "run_time", None) or _RUN_TIME_S)
        passed = self.get_run_time() / run_time_s  # type: ignore[no-untyped-call]  # Locust's
        if passed >= 1:
            return None
        return type(self).levels(passed, users), float(getattr(options, "spawn_rate", None) or users)


class Doubling(_Levels):
    """1, 2, 4, 8 and so on up to the number of users."""

    levels = shape_levels.doubling


class Ramp(_Levels):
    """Ten even steps up to the number of users."""

    levels = shape_levels.ramp


class Spike(_Levels):
    """A fifth of the users, for a while all of them, and a fifth again."""

    levels = shape_levels.spike


SHAPES: dict[str, type[_Levels]] = {shape.__name__: shape for shape in (Doubling, Ramp, Spike)}


def add_argument(parser: LocustArgumentParser) -> None:
    """Add ``--shape``."""
    parser.add_argument(
        "--shape", default="", choices=["", *SHAPES], metavar="NAME", include_in_web_ui=False,
        help=f"load shape up to the number of users, within the run time: {', '.join(SHAPES)}",
    )  # fmt: skip


def offer_shapes(environment: Environment) -> None:
    """Let the web form choose a shape, beside the locustfile's own, and use the one of ``--shape``."""
    made: dict[str, LoadTestShape] = {name: shape() for name, shape in SHAPES.items()}
    environment.available_shape_classes = made | (environment.available_shape_classes or {})
    if chosen := getattr(environment.parsed_options, "shape", ""):
        environment.shape_class = made[chosen]
        environment.shape_class.runner = environment.runner
