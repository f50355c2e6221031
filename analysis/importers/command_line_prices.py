"""Prices from the command line, for results that carry none: one, or one per instance type."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from common.errors import UserError
from common.formatting import listed
from runfolder.manifest import PriceQuote


@dataclass(frozen=True)
class Prices:
    """Dollars per instance-hour: ``every`` for the only instance type there is, ``by_type`` for several."""

    every: float | None = None
    by_type: dict[str, float] = field(default_factory=dict)

    def quote(self, instance_type: str) -> PriceQuote:
        """The price of one instance type; without a figure where none was given."""
        usd = self.by_type.get(instance_type, self.every)
        return (
            PriceQuote()
            if usd is None
            else PriceQuote(kind="command_line", usd_per_hour=usd, source="given on the command line")
        )

    def check(self, instance_types: Iterable[str]) -> None:
        """Refuse what cannot be meant for these instance types.

        Raises:
            UserError: one price for several instance types, or a price of a type that is not there.
        """
        found = sorted(set(instance_types))
        if self.every is not None and len(found) > 1:
            raise UserError(
                f"one price cannot be that of {listed(found)}",
                f"give each its own, such as {found[0]}=1.41 and {found[1]}=2.82",
                "price",
            )
        if unknown := sorted(self.by_type.keys() - set(found)):
            raise UserError(
                f"there is a price for {listed(unknown)}, but the results are of {listed(found)}",
                setting="price",
            )


def read_prices(texts: Sequence[str]) -> Prices:
    """``1.41``, or ``ml.g5.xlarge=1.41`` once per instance type, also with commas between.

    Raises:
        UserError: no such text, no price, or two for the same.
    """
    every: float | None = None
    by_type: dict[str, float] = {}
    for item in (part.strip() for text in texts for part in text.split(",")):
        name, equals, figure = item.rpartition("=")
        usd = _dollars(figure, item)
        if (equals and not name) or name in by_type or (not equals and every is not None):
            raise UserError(
                f"price {item} lacks its instance type or is given twice",
                "give USD once, or TYPE=USD once per instance type",
                "price",
            )
        if equals:
            by_type[name] = usd
        else:
            every = usd
    if every is not None and by_type:
        raise UserError(
            "there is one price for all and one per instance type",
            "give either USD or TYPE=USD, not both",
            "price",
        )
    return Prices(every, by_type)


def _dollars(text: str, item: str) -> float:
    try:
        usd = float(text)
    except ValueError:
        usd = math.nan
    if not math.isfinite(usd) or usd <= 0:
        raise UserError(
            f"{item} is not a price",
            "write dollars per instance-hour, such as 1.41 or ml.g5.xlarge=1.41",
            "price",
        )
    return usd
