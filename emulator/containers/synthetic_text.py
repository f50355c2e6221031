"""The simulated container's text, token counts and answer lengths; all are repeatable."""

import random
import re
import zlib
from collections.abc import Callable

from emulator.containers.profile import GpuProfile

# fmt: off
_WORDS = (
    "the", "of", "and", "to", "in", "a", "is", "that", "for", "it", "as", "was", "with", "be", "by",
    "on", "not", "he", "his", "but", "at", "are", "this", "have", "from", "or", "had", "an", "they",
    "which", "one", "you", "were", "all", "her", "she", "there", "would", "their", "we", "him", "been",
    "has", "when", "who", "will", "more", "no", "if", "out", "so", "what", "up", "said", "about",
    "into", "than", "them", "can", "only", "other", "time", "new", "some", "could", "these", "two",
    "may", "then", "do", "first", "any", "my", "now", "such", "like", "our", "over", "man", "even",
    "most", "made", "after", "also", "did", "many", "before", "must", "through", "back", "years",
    "where", "much", "your", "way", "well", "down",
)
# fmt: on
_PIECE = re.compile(r"\w+|[^\w\s]")

Counter = Callable[[str], int]


def count_words(text: str) -> int:
    """Number of words and punctuation marks: a rough token count without a tokenizer."""
    return len(_PIECE.findall(text))


def make_token_counter(tokenizer: str | None) -> Counter:
    """A function that counts tokens with a ``tokenizer.json``, or words if ``tokenizer`` is None."""
    if tokenizer is None:
        return count_words
    from tokenizers import Tokenizer  # noqa: PLC0415 - 40 ms that a container without a tokenizer saves

    loaded = Tokenizer.from_file(tokenizer)
    return lambda text: len(loaded.encode(text, add_special_tokens=False).ids)


def draw_token(prompt: str, number: int, seed: int) -> tuple[int, str]:
    """Id and text of token ``number`` (from 0) of the answer to ``prompt``."""
    chosen = zlib.crc32(f"{seed}|{number}".encode(), zlib.crc32(prompt.encode())) % len(_WORDS)
    return 1000 + chosen, f" {_WORDS[chosen]}"


def draw_answer_length(
    profile: GpuProfile, prompt: str, limit: int | None, minimum: int, *, ignore_eos: bool
) -> tuple[int, bool]:
    """Length of the answer in tokens, and whether ``limit`` cut it short."""
    draw = random.Random(f"{profile.seed}|{prompt}")  # noqa: S311 - repeatable, not secret
    mode = draw.choices(profile.answers, [m.share for m in profile.answers])[0]
    natural = max(minimum, draw.randint(mode.low, max(mode.low, mode.high)))
    if limit is None:
        return natural, False
    if ignore_eos or natural >= limit:
        return limit, True
    return natural, False
