"""Lengths of prompts and answers, as load tests write them: ``D(1000)/(100)``, ``N(480,240)/(300,150)``."""

import re
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple, assert_never

_WRITTEN = re.compile(r"([A-Za-z])\s*\(([^()]*)\)\s*(?:/\s*\(([^()]*)\))?")
_LIKE_NOTATION = re.compile(r"[A-Za-z]?\s*\(.*")
_ARGUMENTS = {"D": 1, "N": 2, "U": 2}
LONGEST = 10_000_000
"""Tokens that no context holds."""
NOTATION = "D(1000)/(100), N(480,240)/(300,150) or U(50,100)/(20,40)"


class Length(NamedTuple):
    """The distribution of one length, in tokens."""

    kind: Literal["D", "N", "U"]
    """D: always ``first``. N: normal, mean ``first`` and standard deviation ``second``, cut off below 1.
    U: uniform from ``first`` to ``second``, both included."""
    first: int
    second: int = 0

    @property
    def longest(self) -> int:
        """The longest length; of a normal distribution, three standard deviations above the mean."""
        return {"D": self.first, "N": self.first + 3 * self.second, "U": self.second}[self.kind]

    def draw(self, random: Random) -> int:
        """One length, at least 1. A normal distribution is drawn again below 1, so its mean may be higher."""
        match self.kind:
            case "D":
                return self.first
            case "U":
                return random.randint(self.first, self.second)
            case "N":
                while (drawn := round(random.gauss(self.first, self.second))) < 1:
                    pass
                return drawn
            case _:
                assert_never(self.kind)


class LengthPair(NamedTuple):
    """Length of a prompt, and of the answer to it; None: as the plan says otherwise."""

    prompt: int
    output: int | None


@dataclass(frozen=True)
class Lengths:
    """The distributions of the prompts' and the answers' lengths."""

    prompt: Length
    output: Length | None

    @property
    def label(self) -> str:
        """``D1000_100``, for names of experiments."""
        parts = [self.prompt, *([self.output] if self.output else [])]
        return self.prompt.kind + "_".join(
            str(number) for part in parts for number in part[1 : 1 + _ARGUMENTS[part.kind]]
        )

    def draw(self, number: int, seed: str) -> list[LengthPair]:
        """So many pairs of lengths; equal seeds, equal lengths."""
        random = Random(seed)  # noqa: S311 - reproducible, not secret
        return [
            LengthPair(self.prompt.draw(random), self.output.draw(random) if self.output else None)
            for _ in range(number)
        ]


def is_notation(text: str) -> bool:
    """Whether a text means a distribution, be it well written or not, rather than a file."""
    return _LIKE_NOTATION.fullmatch(text.strip()) is not None


def parse_lengths(text: str) -> Lengths:
    """Read ``D(prompt)/(output)``, ``N(mean,sd)/(mean,sd)`` or ``U(low,high)/(low,high)``.

    The second part may be missing. ``D(1000,100)`` means ``D(1000)/(100)``.

    Raises:
        ValueError: it is none of these.
    """
    match = _WRITTEN.fullmatch(text.strip())
    kind = match[1].upper() if match else ""
    if match is None or kind not in _ARGUMENTS:
        raise ValueError(f"write {NOTATION}")
    parts = [[part.strip() for part in group.split(",")] for group in match.groups()[1:] if group is not None]
    if kind == "D" and len(parts) == 1 and len(parts[0]) == 2:
        parts = [[parts[0][0]], [parts[0][1]]]
    lengths = [_length(kind, part) for part in parts]
    return Lengths(lengths[0], lengths[1] if len(lengths) > 1 else None)


def _length(kind: str, arguments: list[str]) -> Length:
    if len(arguments) != _ARGUMENTS[kind] or not all(re.fullmatch(r"\d{1,9}", one) for one in arguments):
        raise ValueError(f"write whole numbers of tokens as in {NOTATION}")
    numbers = [int(one) for one in arguments]
    if numbers[0] < 1 or max(numbers) > LONGEST:
        raise ValueError(f"write lengths from 1 to {LONGEST:,} tokens")
    if kind == "D":
        return Length("D", numbers[0])
    if kind == "N":
        return Length("N", numbers[0], numbers[1])
    if numbers[0] > numbers[1]:
        raise ValueError("write the lower length before the higher one")
    return Length("U", numbers[0], numbers[1])
