"""What OpenTelemetry's environment variables ask for. Imports nothing of OpenTelemetry."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from common.errors import UserError

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
_INTERVAL_MS = "60000"
HEADERS = frozenset({"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"})
"""They often hold a key."""


def receiver_of(environment: Mapping[str, str]) -> str:
    """Host and port of the receiver, without what may be secret in its URL."""
    url = next((environment[name] for name in _ENDPOINTS if environment.get(name)), "")
    return urlsplit(url).netloc.rpartition("@")[2] or "localhost"


def export_interval_s(environment: Mapping[str, str]) -> float | None:
    """Seconds between two exports; None where no receiver is named, or metrics are turned off.

    Raises:
        UserError: the environment asks for something that this program cannot do.
    """
    if (
        not any(environment.get(name) for name in _ENDPOINTS)
        or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        or environment.get("OTEL_METRICS_EXPORTER", "otlp").strip() == "none"
    ):
        return None
    name = next(name for name in _ENDPOINTS if environment.get(name))
    if not _is_address(environment[name]):
        raise UserError(
            f"{name} is not an address of http or https", "write one such as http://collector:4318"
        )
    protocol = next((name for name in _PROTOCOLS if environment.get(name)), None)
    if protocol is not None and environment[protocol].strip().lower() != "http/protobuf":
        raise UserError(
            f"{protocol}={environment[protocol]}: metrics are sent as http/protobuf only",
            f"set {_PROTOCOLS[0]}=http/protobuf and the receiver's port for HTTP, often 4318",
        )
    if (temporality := environment.get(_TEMPORALITY, "")).strip().lower() not in ("", "cumulative"):
        raise UserError(
            f"{_TEMPORALITY}={temporality}: sums are sent as cumulative ones only",
            "unset it, and convert them in a Collector (cumulativetodelta)",
        )
    interval = environment.get(_INTERVAL) or _INTERVAL_MS
    if not interval.strip().isdecimal() or not int(interval):
        raise UserError(f"{_INTERVAL}={interval} is not a number of milliseconds", "write 10000 for 10 s")
    return int(interval) / 1000


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets, or a port that is none
        return False
