"""The lengths that a plan asks for: drawn from its distributions, or from a trace."""

from random import Random

from common.errors import UserError
from configs.lengths import NOTATION, LengthPair
from configs.payload_spec import PayloadSpec
from payloads.traces.reading import read_trace


def asked_lengths(spec: PayloadSpec, seed: int) -> list[LengthPair]:
    """The lengths of a payload's prompts and answers; the same seed gives the same lengths.

    Of a trace, ``count`` requests drawn at random.

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
    trace = read_trace(path)
    pairs = [LengthPair(a.prompt_tokens, a.output_tokens) for a in trace.arrivals if a.prompt_tokens]
    if not pairs:
        raise UserError(f"workload.payload: {path} has no prompt lengths", "give a trace with prompt_tokens")
    return Random(f"{seed}/{path.name}").choices(pairs, k=spec.count)  # noqa: S311 - reproducible, not secret
