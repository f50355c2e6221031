"""Service level objectives as a plan writes them: ``ttft_p95: 1s``."""

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from configs.durations import DURATION_SCHEMA, parse_seconds
from configs.fields import Number, Strict

SLO_KEY = re.compile(r"^(ttft|tpot|e2e)_(mean|p50|p90|p95|p99)$")
_SLO_KEYS = [f"{m}_{s}" for m in ("ttft", "tpot", "e2e") for s in ("mean", "p50", "p90", "p95", "p99")]
_SLO_KEYS.append("error_rate")
_SLOWEST_TOKEN_S = 10.0
DEFAULT_ERROR_RATE_LIMIT = 0.05
"""Errors that a step may have where the plan names no limit: told, and above this not recommended."""


class Objective(Strict):
    """One service level objective: a statistic of a latency metric and its limit in milliseconds."""

    metric: Literal["ttft", "tpot", "e2e"]
    statistic: Literal["mean", "p50", "p90", "p95", "p99"]
    limit_ms: Annotated[float, Field(gt=0)]
    part: str | None = None
    """The part of a mix whose requests it judges; None for all requests."""

    @property
    def key(self) -> str:
        """The objective as the plan writes it, for example ``ttft_p95``."""
        return f"{self.metric}_{self.statistic}"

    @property
    def percentile(self) -> int | None:
        """95 for p95; None for a mean."""
        return None if self.statistic == "mean" else int(self.statistic[1:])

    @property
    def allowed_share(self) -> float | None:
        """Share of the requests that may exceed the limit, 0 to 1; None for a mean."""
        return None if self.percentile is None else 1 - self.percentile / 100

    @property
    def name(self) -> str:
        """``TTFT p95``; of a part of a mix ``TTFT p95 of chat``."""
        part = "" if self.part is None else f" of {self.part}"
        return f"{self.metric.upper()} {self.statistic}{part}"

    @property
    def limit(self) -> str:
        """The limit with its unit: ``800 ms``, ``1 s``, ``2.5 s``."""
        return f"{self.limit_ms / 1000:g} s" if self.limit_ms >= 1000 else f"{self.limit_ms:g} ms"

    @property
    def label(self) -> str:
        """``TTFT p95 ≤ 1 s``."""
        return f"{self.name} ≤ {self.limit}"


class Slo(Strict):
    """Service level objectives: latency limits such as ``ttft_p95: 1s``, and the share of errors allowed.

    Without ``error_rate``, errors are reported, and only a step with many errors is not recommended.
    """

    objectives: tuple[Objective, ...] = ()
    error_rate: Annotated[Number, Field(ge=0, lt=1)] | None = Field(
        default=None,
        description="The share of requests that may fail, such as `0.01` for 1%. Without it, a step with "
        "more than 5% errors is not recommended.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_keys(cls, value: object) -> object:
        if not isinstance(value, dict) or "objectives" in value:
            return value
        objectives = []
        rest = {}
        for key, limit in value.items():
            if match := SLO_KEY.fullmatch(str(key)):
                objectives.append(
                    {"metric": match[1], "statistic": match[2], "limit_ms": _limit_s(key, limit) * 1000}
                )
            elif key == "error_rate":
                rest[key] = _share(limit)
            else:
                close = difflib.get_close_matches(str(key).lower(), _SLO_KEYS, n=1)
                if close:
                    raise ValueError(f"slo.{key} is not known; did you mean {close[0]}?")
                raise ValueError(
                    f"slo.{key} is not known: write ttft_, tpot_ or e2e_ with mean, p50, p90, p95 or p99 "
                    "(for example ttft_p95: 1s), or error_rate"
                )
        return {"objectives": objectives, **rest}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The keys that a plan has, in place of ``objectives``."""
        schema = handler.resolve_ref_schema(handler(core))
        rate = schema["properties"]["error_rate"]
        latencies = {
            key: {**DURATION_SCHEMA, "description": f"The limit of the {_statistic(key)}."}
            for key in _SLO_KEYS
            if key != "error_rate"
        }
        return {**schema, "properties": {**latencies, "error_rate": rate}}


def _statistic(key: str) -> str:
    metric, statistic = key.split("_")
    return f"{statistic} of the {metric.upper()}"


def _share(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, int | float) and value >= 1):
        raise ValueError(f"slo.error_rate: write a share below 1, such as 0.01 for 1%, not {value!r}")
    return value


def _limit_s(key: str, value: object) -> float:
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        raise ValueError(f"slo.{key}: {error}") from None
    if seconds == 0:
        raise ValueError(f"slo.{key}: no request can meet a limit of 0; write a duration such as 500ms or 5s")
    if key.startswith("tpot") and seconds > _SLOWEST_TOKEN_S:
        raise ValueError(
            f"slo.{key}: {seconds:g} s is too long for one token; for milliseconds write {seconds:g}ms"
        )
    return seconds
