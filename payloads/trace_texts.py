"""The text from which the prompts of a replayed trace are made, one for each language of the payload."""

from collections.abc import Mapping, Sequence
from statistics import median_low

from configs.nonce import nonce
from configs.payload import PayloadRow
from configs.payload_spec import Language, PayloadSpec
from configs.trace_text import TraceText
from payloads.generate import ENDINGS, passages
from payloads.measures import Ruler, Scale


def trace_texts(
    spec: PayloadSpec,
    lengths: Sequence[int],
    ruler: Ruler,
    scales: Mapping[Language, Scale],
    *,
    turn_overheads: Mapping[Language, float],
    seed: int,
) -> list[PayloadRow]:
    """One row of text for each language.

    English text has only words that are one token in all usual vocabularies: the prompts are put together
    from parts, and must have their length without being counted again.

    Args:
        spec: the payload.
        lengths: prompt tokens of the trace's requests.
        ruler: measures text.
        scales: of each language.
        turn_overheads: tokens of the template around a further turn, by language.
        seed: the same seed gives the same text.
    """
    [nonce_units] = ruler.counts([nonce("").strip()])
    rows = []
    for language in spec.languages:
        scale, ending = scales[language], ENDINGS[language]
        units = [max(1.0, scale.units(length)) for length in lengths]
        text = TraceText(
            passages=passages(language, ruler, units, str(seed), plain=True),
            nonce_units=nonce_units,
            ending=ending,
            ending_units=ruler.counts(["so" + ending])[0] - 1,
            overhead=scale.overhead,
            per_unit=scale.per_unit,
            turn_overhead=turn_overheads.get(language, 0.0),
            longest=round(max(units)),
            usual=median_low(lengths),
            source="estimate" if scale.counted_by == "estimate" else "tokenizer",
            prefix=spec.prefix,
        )
        rows.append(PayloadRow(f"{spec.label}-{language}", "", None, trace_text=text))
    return rows
