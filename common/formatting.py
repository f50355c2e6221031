"""Numbers as text: three significant digits, units, and an en dash for values that were not measured."""

import math
from datetime import UTC, datetime

ABSENT = "–"


def number(value: float | None, digits: int = 3) -> str:
    """Plain decimal with ``digits`` significant digits: ``25.5``, ``1,620``, ``0.0342``."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{min(places, 10)}f}"


def count(value: float | None) -> str:
    """A count, without decimals: ``434``, ``1,620``."""
    return ABSENT if value is None or not math.isfinite(value) else f"{round(value):,}"


def milliseconds(value: float | None) -> str:
    """``43.2 ms`` below a second, ``2.35 s`` above."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{number(value / 1000)} s" if abs(value) >= 1000 else f"{number(value)} ms"


def duration(value: float | None) -> str:
    """``42.8 s``, ``7 min 05 s``, ``1 h 25 min``."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if value < 90:
        return f"{number(value)} s"
    whole = round(value)
    if whole < 5400:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def dollars(value: float | None, digits: int = 3) -> str:
    """``$0.000921``, ``$1.41``, ``$1,030``; never scientific notation."""
    if value is None:
        return ABSENT
    if not math.isfinite(value):
        return ABSENT
    if 1 <= abs(value) < 1000:
        return f"${value:,.2f}"
    return f"${number(value, digits)}"


def cents(value: float) -> str:
    """An amount in cents: ``$0.93``, ``$1,030.00``; below a cent ``$0.0012``."""
    return f"${value:,.2f}" if value >= 0.01 or value == 0 else dollars(value, 2)


def hourly_price(value: float | None) -> str:
    """A price per hour with up to four decimals: ``$1.4084``, ``$1.515``, ``$0.10``."""
    if value is None:
        return ABSENT
    text = f"{value:,.4f}"
    whole, decimals = text.split(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def percent(share: float | None, digits: int = 2) -> str:
    """``0%``, ``1.3%``, ``42%``; a share below 1 is never shown as ``100%``."""
    if share is None or not math.isfinite(share):
        return ABSENT
    if 0.99 <= share < 1:
        return f"{math.floor(1000 * share) / 10:g}%"
    return f"{number(100 * share, 3 if abs(share) >= 1 else digits)}%"


def limit_percent(share: float) -> str:
    """A limit as it was set: ``1%``, ``0.5%``."""
    return f"{100 * share:.6g}%"


def confidence(share: float | None) -> str:
    """A share of resamples, never rounded up: ``94%``, ``more than 99%``, ``less than 1%``."""
    if share is None:
        return ABSENT
    if 0.99 < share < 1:
        return "more than 99%"
    return "less than 1%" if 0 < share < 0.01 else f"{math.floor(100 * share + 1e-9)}%"


def utc(epoch: float | None) -> str:
    """``2024-03-22 23:01:16`` in UTC."""
    return ABSENT if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S")


def more_minutes(value: float | None) -> str:
    """How much longer: ``1 more minute``, ``12 more minutes``, ``3 more hours``."""
    if value is None:
        return "an unknown number of minutes more"
    whole = max(1, math.ceil(value))
    if whole >= 120:
        return f"{math.ceil(whole / 60)} more hours"
    return f"{whole} more minute{'' if whole == 1 else 's'}"


def code_span(text: str) -> str:
    """A name in Markdown's code span, which a backtick inside it would end."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def listed(items: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def plural(count: int, noun: str) -> str:
    """``1 request``, ``1,200 requests``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def as_subject(name: str) -> str:
    """A name that begins a sentence: ``This machine``, but ``ml.g5.xlarge`` and ``2 × ml.g5.xlarge``."""
    first, _, rest = name.partition(" ")
    return name[:1].upper() + name[1:] if rest and first.isalpha() else name
