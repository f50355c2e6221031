"""The arrival process of an open-loop load: how irregular the times between arrivals are."""

import math
from collections.abc import Iterator
from random import Random
from typing import Annotated, Literal, NamedTuple, assert_never

from pydantic import PlainValidator, WithJsonSchema

_KINDS = ("poisson", "constant")
_SHAPED = ("gamma", "weibull")
_LEAST_SHAPE, _MOST_SHAPE = 0.05, 1000.0


def _check_arrivals(value: object) -> object:
    if value in _KINDS:
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(kind, shape)] = value.items()
        number = isinstance(shape, int | float) and not isinstance(shape, bool)
        if kind in _SHAPED and number:
            if not _LEAST_SHAPE <= shape <= _MOST_SHAPE:
                raise ValueError(f"the shape of {kind} must be from {_LEAST_SHAPE:g} to {_MOST_SHAPE:g}")
            return {kind: float(shape)}
    raise ValueError("write poisson, constant, {gamma: 0.5} or {weibull: 0.5}, with a shape of your own")


Arrivals = Annotated[
    str | dict[str, float],
    PlainValidator(_check_arrivals),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(_KINDS)},
                *(
                    {
                        "type": "object",
                        "properties": {
                            kind: {"type": "number", "minimum": _LEAST_SHAPE, "maximum": _MOST_SHAPE}
                        },
                        "required": [kind],
                        "additionalProperties": False,
                    }
                    for kind in _SHAPED
                ),
            ]
        }
    ),
]
"""As a plan writes it: ``poisson``, ``constant``, ``{gamma: 0.5}`` or ``{weibull: 0.5}``."""


class ArrivalProcess(NamedTuple):
    """A renewal process: independent times between arrivals, of one distribution."""

    kind: Literal["poisson", "constant", "gamma", "weibull"]
    shape: float = 1.0
    """Of the gamma or Weibull distribution."""

    @property
    def variation(self) -> float:
        """Coefficient of variation of the times between arrivals: standard deviation / mean.

        Formula: 0 (constant), 1 (Poisson), 1/√k (gamma), √(Γ(1 + 2/k)/Γ(1 + 1/k)² - 1) (Weibull), where k is
        the shape.
        """
        match self.kind:
            case "constant":
                return 0.0
            case "poisson":
                return 1.0
            case "gamma":
                return 1 / math.sqrt(self.shape)
            case "weibull":
                logarithm = math.lgamma(1 + 2 / self.shape) - 2 * math.lgamma(1 + 1 / self.shape)
                return math.sqrt(math.expm1(logarithm))
            case _:
                assert_never(self.kind)

    def label(self) -> str:
        """``Poisson arrivals``; the others with their coefficient of variation."""
        if self.kind in ("poisson", "constant"):
            return "Poisson arrivals" if self.kind == "poisson" else "arrivals at a constant interval"
        name = "Weibull" if self.kind == "weibull" else "gamma"
        return (
            f"{name} arrivals of shape {self.shape:g} (coefficient of variation {self.variation:.2f}; "
            "Poisson has 1)"
        )

    def intervals(self, random: Random) -> Iterator[float]:
        """Endless times between arrivals, with mean 1.

        Args:
            random: a seeded generator; the same seed gives the same times.
        """
        match self.kind:
            case "constant":
                while True:
                    yield 1.0
            case "poisson":
                while True:
                    yield random.expovariate(1.0)
            case "gamma":
                while True:
                    yield random.gammavariate(self.shape, 1 / self.shape)
            case "weibull":
                scale = math.exp(-math.lgamma(1 + 1 / self.shape))
                while True:
                    yield random.weibullvariate(scale, self.shape)
            case _:
                assert_never(self.kind)


def arrival_process(arrivals: str | dict[str, float]) -> ArrivalProcess:
    """The process that a plan asks for (`Arrivals`)."""
    if isinstance(arrivals, dict):
        [(kind, shape)] = arrivals.items()
        return ArrivalProcess("gamma" if kind == "gamma" else "weibull", shape)
    return ArrivalProcess("constant" if arrivals == "constant" else "poisson")
