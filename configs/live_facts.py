"""What the live page shows of a plan beside the figures of the load."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from configs.slo import Slo


class LiveFacts(BaseModel):
    """Facts of the plan and its cost. Dollars are None where no price is known."""

    model_config = ConfigDict(frozen=True)

    plan: str = ""
    page: str = ""
    """URL of the live page; empty without one."""
    slo: Slo = Slo()
    usd_per_hour: Annotated[float, Field(gt=0)] | None = None
    """Of all instances of the endpoint together."""
    price_assumed: bool = False
    """Whether nobody is billed this price."""
    spent_usd: float | None = None
    """What the run's endpoints had cost at ``spent_at``."""
    spent_at: float = 0.0
    """Epoch seconds."""
    expected_usd: float | None = None
    """Of the whole run, if every window is used fully."""
    max_spend_usd: float | None = None
    """The plan's limit."""

    def spent_by(self, now: float) -> float | None:
        """Dollars that the run has cost so far; None if a price is not known.

        Formula: what it had cost when the load began, plus price per hour × hours since then.
        """
        if self.usd_per_hour is None or self.spent_usd is None:
            return None
        return self.spent_usd + max(0.0, now - self.spent_at) / 3600 * self.usd_per_hour
