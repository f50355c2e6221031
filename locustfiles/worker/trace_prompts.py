"""The prompts of a replayed trace: cut to its lengths when they are sent, and alike where its prompts are.

A trace has more different prompts than a payload could hold. So the payload holds running text, and every
request of the trace gets a prompt that is made from it: the blocks that its prompt shares with others, then
text of its own. A block depends on nothing but the seed and its name, so that the same block is the same text
in every prompt, on every worker.
"""

from collections.abc import Sequence
from random import Random

from configs.nonce import nonce
from configs.payload import PayloadRow
from configs.trace_text import TraceText
from locustfiles.messages import Arrival

_ENDING_FROM = 100
"""Units from which a text ends with a question: a shorter one is nearly all question."""


class TracePrompts:
    """Makes the prompts of a replayed trace.

    Args:
        texts: one of each language; they take turns.
        seed: the same seed gives the same text to the same block.
        unique: whether every replay of the trace has other texts; otherwise a request has the same prompt in
            each.
    """

    def __init__(self, texts: Sequence[TraceText], seed: str, *, unique: bool) -> None:
        self._texts = texts
        self._seed = seed
        self._unique = unique

    def row(self, arrival: Arrival) -> PayloadRow:
        """The prompt: shared blocks, then text of its own, which are together as long as asked.

        The template counts to the first block. Where the blocks are longer than the prompt, they are cut.
        """
        blocks, block_tokens, language = arrival.blocks, arrival.block_tokens, arrival.place
        tokens = self._texts[0].usual if arrival.prompt_tokens is None else arrival.prompt_tokens
        planned = self._texts[0].prefix
        if planned is not None:
            blocks = (arrival.place % planned.groups,)
        if blocks:
            language = blocks[0]
        text = self._texts[language % len(self._texts)]
        if planned is not None:
            block_tokens = round(text.overhead) + planned.tokens_of(tokens)
        room = round(block_tokens / text.per_unit)
        left = units = max(1, round((tokens - text.overhead) / text.per_unit))
        shared = []
        for place, block in enumerate(blocks, 1):
            until = round((place * block_tokens - text.overhead) / text.per_unit)
            size = min(left, max(0, until - (units - left)))
            shared.append(_text(text, f"{self._seed}/block {block}", size, room))
            left -= size
        own = _text(text, self._name(arrival), left, text.longest, ends=True)
        opening = " ".join(part for part in shared if part)
        return PayloadRow(
            f"trace-{arrival.place}",
            own,
            round(text.overhead + text.per_unit * units),
            shared_prefix=opening + (" " if opening and own else ""),
            prompt_tokens_source=text.source,
            asked_prompt_tokens=arrival.prompt_tokens,
        )

    def further_turn(self, arrival: Arrival, before: int) -> PayloadRow:
        """What a later turn of a conversation adds.

        Args:
            arrival: of the turn; its length is that of the whole prompt.
            before: tokens of what was said before, with the template of a single turn.
        """
        text = self._texts[arrival.place % len(self._texts)]
        tokens = arrival.prompt_tokens
        wanted = text.usual if tokens is None else tokens - before - text.turn_overhead
        units = max(1, round(wanted / text.per_unit))
        own = _text(text, self._name(arrival), units, text.longest, ends=True)
        return PayloadRow(f"trace-{arrival.place}", own, None)

    def _name(self, arrival: Arrival) -> str:
        return f"{self._seed}/{arrival.number if self._unique else arrival.place}"


def _text(text: TraceText, name: str, units: int, room: int, *, ends: bool = False) -> str:
    """So many units of text. It begins with words that depend on the name, so that no other is like it.

    Args:
        text: to cut.
        name: the same name gives the same text, longer or shorter.
        units: its length.
        room: the longest text of this name.
        ends: whether a question may stand at its end.
    """
    words = nonce(name).split()
    if units <= text.nonce_units:
        return " ".join(words[: max(0, units)])
    ending = ends and units >= _ENDING_FROM
    size = units - text.nonce_units - (text.ending_units if ending else 0)
    place = text.passages.place(room, Random(name))  # noqa: S311 - reproducible, not secret
    return " ".join([*words, text.passages.passage(place, size)]) + (text.ending if ending else "")
