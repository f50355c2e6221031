"""Which prompts of a trace begin alike."""

from collections import Counter
from collections.abc import Sequence

from payloads.traces.trace import Arrival


def block_chains(arrivals: Sequence[Arrival]) -> list[tuple[int, ...]]:
    """The blocks of each prompt as numbers: equal numbers are equal blocks after equal blocks.

    A number stands for a block and all that comes before it, so two prompts share their beginning up to the
    last number that they have in common.
    """
    numbers: dict[tuple[int, str], int] = {}
    chains = []
    for arrival in arrivals:
        chain, before = [], 0
        for block in arrival.prefix:
            before = numbers.setdefault((before, block), len(numbers) + 1)
            chain.append(before)
        chains.append(tuple(chain))
    return chains


def shared_blocks(arrivals: Sequence[Arrival]) -> list[tuple[int, ...]]:
    """The leading blocks of each prompt that another prompt begins with too, as in `block_chains`."""
    chains = block_chains(arrivals)
    times = Counter(block for chain in chains for block in chain)
    return [tuple(block for block in chain if times[block] > 1) for chain in chains]


def repeated_tokens(arrivals: Sequence[Arrival]) -> list[int]:
    """Tokens of each prompt that an earlier prompt began with too: what a perfect prefix cache would serve.

    The last block of a prompt may be shorter than the others.
    """
    seen: set[int] = set()
    repeated = []
    for arrival, chain in zip(arrivals, block_chains(arrivals), strict=True):
        tokens = sum(block in seen for block in chain) * arrival.block_tokens
        repeated.append(tokens if arrival.prompt_tokens is None else min(tokens, arrival.prompt_tokens))
        seen.update(chain)
    return repeated
