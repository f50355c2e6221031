"""Running text from which prompts are cut, and what a replayed trace needs to know about it."""

from bisect import bisect_right
from dataclasses import dataclass
from random import Random
from typing import Literal

from configs.payload_spec import SharedPrefix

TokenSource = Literal["tokenizer", "estimate"]


@dataclass(frozen=True, slots=True)
class Passages:
    """Running text, and where it can be cut."""

    text: str
    ends: list[int]
    """Where each of its units ends: a token, or a word or mark."""
    starts: list[int]
    """Where its sentences start."""

    def place(self, units: int, random: Random) -> int:
        """Where a passage of so many units may start: at a sentence."""
        last = self.ends[max(0, len(self.ends) - 2 * units - 64)]
        return self.starts[random.randrange(max(1, bisect_right(self.starts, last)))]

    def passage(self, place: int, units: int) -> str:
        """So many units from there."""
        if units <= 0:
            return ""
        first = bisect_right(self.ends, place)
        return self.text[place : self.ends[min(first + units, len(self.ends)) - 1]].strip()


@dataclass(frozen=True, slots=True)
class TraceText:
    """Running text of one language, and how long it is in tokens as the endpoint counts them."""

    passages: Passages
    nonce_units: int
    """Units of a nonce."""
    ending: str
    """A question at the end of a prompt."""
    ending_units: int
    overhead: float = 0.0
    """Tokens of the chat template."""
    per_unit: float = 1.0
    """Tokens of a unit."""
    turn_overhead: float = 0.0
    """Tokens of the chat template around each further turn and the answer before it."""
    longest: int = 0
    """Units of the longest prompt."""
    usual: int = 1
    """Tokens of the prompt of a request whose length the trace does not have: the median of the others."""
    source: TokenSource = "tokenizer"
    prefix: SharedPrefix | None = None
    """The plan's shared prefixes, in place of the trace's."""
