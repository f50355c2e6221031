"""A weighted mix of payloads: the section `workload.mix` of a plan."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from configs.fields import Number, Strict
from configs.payload_spec import PayloadSpec
from configs.slo import Slo

MIX = "mix"
"""What a mix is called where a payload has its label."""
LONGEST_DECK = 1000
"""Requests after which every part has had its share."""


def _also_text(schema: dict[str, Any]) -> None:
    """Let the JSON schema accept a text in place of a payload."""
    schema["anyOf"] = [{"type": "string"}, {"$ref": schema.pop("$ref")}]


class MixPart(Strict):
    """One payload of a mix."""

    payload: PayloadSpec = Field(
        description="A payload, written as `workload.payload`.", json_schema_extra=_also_text
    )
    weight: Annotated[Number, Field(gt=0, le=1000)] = Field(
        default=1.0, description="The part's weight: of `3` and `1`, three of four requests are the first's."
    )
    slo: Slo | None = Field(
        default=None,
        description="Latency limits for the requests of this part, in addition to `slo`, which judges all.",
    )

    @model_validator(mode="after")
    def _limits_latency(self) -> Self:
        if self.slo is not None and self.slo.error_rate is not None:
            raise ValueError("error_rate is judged for all requests together; set slo.error_rate")
        return self


def _distinct(parts: tuple[MixPart, ...]) -> tuple[MixPart, ...]:
    labels = [part.payload.label for part in parts]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise ValueError(f"{twice} is named twice: give one of the payloads another name")
    return parts


Mix = Annotated[tuple[MixPart, ...], Field(min_length=2), AfterValidator(_distinct)]
"""The parts of a mix."""


def deck_counts(weights: Sequence[float]) -> list[int]:
    """The smallest whole numbers in the ratio of weights, at most `LONGEST_DECK` together.

    Formula: each weight × the least common multiple of their denominators / the greatest common divisor; if
    these are too many, each weight's share of the total to a thousandth, and at least 1.
    """
    shares = [Fraction(weight).limit_denominator(LONGEST_DECK) for weight in weights]
    scale = math.lcm(*(share.denominator for share in shares))
    counts = [int(share * scale) for share in shares]
    if min(counts) == 0 or sum(counts) // math.gcd(*counts) > LONGEST_DECK:
        counts = [max(1, round(LONGEST_DECK * weight / sum(weights))) for weight in weights]
    divisor = math.gcd(*counts)
    return [count // divisor for count in counts]
