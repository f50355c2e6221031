"""How long a text is in tokens: by a tokenizer, or foretold from its words and the endpoint's own counts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tokenizers import Tokenizer as HuggingFaceTokenizer

_UNITS = re.compile(r"[぀-ヿ一-鿿]|[^\W぀-ヿ一-鿿]+|[^\w\s]")
"""A Chinese or Japanese character, a word, a mark."""

CountedBy = Literal["tokenizer", "endpoint", "estimate"]


class Ruler(Protocol):
    """Measures texts in tokens, or in something whose number goes with that of the tokens."""

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Character span of each unit of ``text``."""

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Number of units of each text, no special tokens added."""


class TokenRuler:
    """The tokenizer of a ``tokenizer.json``: its units are the model's own tokens."""

    def __init__(self, tokenizer: HuggingFaceTokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def from_file(cls, path: Path) -> "TokenRuler":
        """Read a ``tokenizer.json``."""
        return cls(HuggingFaceTokenizer.from_file(str(path)))

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Character span of each token."""
        offsets: Sequence[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, counted on all cores."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(one.ids) for one in encoded]


class WordRuler:
    """Counts words and marks, and the characters of languages without spaces."""

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Character span of each word or mark."""
        return [match.span() for match in _UNITS.finditer(text)]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Number of words and marks of each text."""
        return [len(_UNITS.findall(text)) for text in texts]


@dataclass(frozen=True)
class Scale:
    """From a ruler's units to the prompt tokens that the endpoint counts: ``overhead + per_unit × units``."""

    overhead: float = 0.0
    """Tokens of the chat template."""
    per_unit: float = 1.0
    counted_by: CountedBy = "estimate"
    probes: int = 0
    residual: float | None = None
    """The largest |foretold − counted| / counted of the probes; None without a probe."""

    def tokens(self, units: float) -> float:
        """Prompt tokens of so many units."""
        return self.overhead + self.per_unit * units

    def units(self, tokens: float) -> float:
        """Units of a prompt of so many tokens; negative if the overhead alone is longer."""
        return (tokens - self.overhead) / self.per_unit


_SAME_TOKENIZER = 0.01
"""Within this, a tokenizer's tokens are the endpoint's own, and only the template is to be found out."""


def fit_scale(units: Sequence[int], tokens: Sequence[int], counted_by: CountedBy) -> Scale:
    """The scale that explains the endpoint's counts of some probes, by weighted least squares.

    Formula: overhead and per_unit that minimize Σ (overhead + per_unit × units − tokens)² / tokens. With a
    tokenizer whose slope is 1 within 1%, the slope is 1 and the overhead the median difference.

    Args:
        units: a ruler's units of each probe; of at least two different sizes.
        tokens: the prompt tokens that the endpoint counted, at least 1.
        counted_by: what the ruler is.

    Raises:
        ValueError: the probes have one size, or longer probes do not have more tokens.
    """
    if len(set(units)) < 2:
        raise ValueError("the probes have one size")
    weights = [1 / count for count in tokens]
    total = sum(weights)
    mean_u = sum(w * u for w, u in zip(weights, units, strict=True)) / total
    mean_t = sum(w * t for w, t in zip(weights, tokens, strict=True)) / total
    spread = sum(w * (u - mean_u) ** 2 for w, u in zip(weights, units, strict=True))
    slope = (
        sum(w * (u - mean_u) * (t - mean_t) for w, u, t in zip(weights, units, tokens, strict=True)) / spread
    )
    if slope <= 0:
        raise ValueError("longer probes do not have more tokens")
    overhead = mean_t - slope * mean_u
    if counted_by == "tokenizer" and abs(slope - 1) < _SAME_TOKENIZER:
        differences = sorted(t - u for u, t in zip(units, tokens, strict=True))
        slope, overhead = 1.0, float(differences[len(differences) // 2])
    errors = [abs(overhead + slope * u - t) / t for u, t in zip(units, tokens, strict=True)]
    return Scale(overhead, slope, counted_by, len(tokens), max(errors))
