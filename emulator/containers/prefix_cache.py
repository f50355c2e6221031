"""A prefix cache as vLLM keeps one per instance: which beginnings of prompts are still known, by blocks."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

BLOCK_TOKENS = 16
_BLOCK_CHARACTERS = 64
"""A block of text, about as long as a block of tokens."""


class PrefixCache:
    """Knows the blocks of the texts it has seen; the least recently used ones go first.

    Args:
        tokens: how many fit.
    """

    def __init__(self, tokens: int) -> None:
        self._most = max(1, tokens // BLOCK_TOKENS)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def known_tokens(self, text: str, tokens: int) -> int:
        """How many of a text's tokens its beginning, as far as it is known, has; by its share of the text."""
        blocks = 0
        for block in _blocks(text):
            if block not in self._known:
                break
            self._known.move_to_end(block)
            blocks += 1
        return tokens * blocks * _BLOCK_CHARACTERS // max(1, len(text))

    def add(self, text: str) -> None:
        """Keep a text."""
        for block in _blocks(text):
            self._known[block] = None
            self._known.move_to_end(block)
        while len(self._known) > self._most:
            self._known.popitem(last=False)


def _blocks(text: str) -> Iterator[bytes]:
    """A name for each whole block, which depends on all text before it."""
    state = hashlib.blake2b(digest_size=8)
    for start in range(0, len(text) - _BLOCK_CHARACTERS + 1, _BLOCK_CHARACTERS):
        state.update(text[start : start + _BLOCK_CHARACTERS].encode())
        yield state.digest()
