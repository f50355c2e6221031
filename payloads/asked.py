"""The lengths that a plan asks for: drawn from its distributions, or from a trace."""

from pathlib import Path
from random import Random

from common.errors import UserError
from configs.lengths import NOTATION, LengthPair
from configs.load import TraceReplay
from configs.payload_spec import PayloadSpec
from payloads.traces.reading import read_trace
from payloads.traces.trace import Trace

_MOST_TOKENS = 4_000_000
"""Of the prompts for a replay, about 20 MB. Beyond, lengths that are nearly the same share a prompt."""


def asked_lengths(spec: PayloadSpec, seed: int, replay: TraceReplay | None = None) -> list[LengthPair]:
    """The lengths of a payload's prompts and answers; the same seed gives the same lengths.

    Of a trace that is replayed, each length of its prompts once, because every arrival takes the prompt of
    its length. Of another trace, ``count`` requests drawn at random.

    Raises:
        UserError: the trace cannot be read, or has no lengths.
    """
    if spec.distribution is not None:
        return spec.distribution.draw(spec.count, f"{seed}/{spec.lengths}")
    path = spec.trace
    if path is None:
        raise ValueError("a payload of a file has no asked lengths")
    if not path.exists():
        raise UserError(
            f"workload.payload: lengths {str(path)!r} is neither a distribution nor a trace file",
            f"write {NOTATION}, or name a trace",
        )
    replayed = replay is not None and Path(replay.file) == path
    trace = read_trace(path, "skip" if replayed and replay is not None and replay.skip_malformed else "stop")
    if replayed and replay is not None and replay.limit is not None:
        trace = trace.limited(replay.limit)
    pairs = [LengthPair(a.prompt_tokens, a.output_tokens) for a in trace.arrivals if a.prompt_tokens]
    if not pairs:
        raise UserError(f"workload.payload: {path} has no prompt lengths", "give a trace with prompt_tokens")
    if replayed:
        return [LengthPair(length, None) for length in distinct_lengths(trace)]
    return Random(f"{seed}/{path.name}").choices(pairs, k=spec.count)  # noqa: S311 - reproducible, not secret


def distinct_lengths(trace: Trace, most_tokens: int = _MOST_TOKENS) -> list[int]:
    """The lengths of a trace's prompts, each once; thinned out by 0.5%, 1%, 2%, … until they fit."""
    every = sorted({arrival.prompt_tokens for arrival in trace.arrivals if arrival.prompt_tokens})
    kept, step = every, 0.005
    while sum(kept) > most_tokens and step < 1:
        kept = every[:1]
        for length in every:
            if length > kept[-1] * (1 + step):
                kept.append(length)
        step *= 2
    return kept
