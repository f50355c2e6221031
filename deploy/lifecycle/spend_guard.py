"""What a run's endpoints have cost so far, and whether the run may continue."""

import time

from common.formatting import cents
from deploy.lifecycle.ledger import Ledger


class SpendGuard:
    """Compares a run's cost with its limit, by the ledger.

    Every endpoint costs from its create call until it is deleted, even if it was never in service.
    """

    def __init__(self, ledger: Ledger, run_id: str, max_spend_usd: float | None) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._limit = max_spend_usd

    def spent_usd(self, now: float | None = None) -> float | None:
        """Dollars so far; None if the price of one of the endpoints is not known."""
        now = time.time() if now is None else now
        costs = [item.cost_usd(now) for item in self._ledger.items(self._run_id) if item.kind == "endpoint"]
        known_costs = [cost for cost in costs if cost is not None]
        return sum(known_costs) if len(known_costs) == len(costs) else None

    def exceeded(self, now: float | None = None) -> bool:
        """Whether the limit is reached; False without a price or without a limit."""
        if self._limit is None:
            return False
        spent = self.spent_usd(now)
        return spent is not None and spent >= self._limit

    def reason(self) -> str | None:
        """Why the run must end; None while it may continue."""
        if self._limit is None or not self.exceeded():
            return None
        return f"budget.max_spend_usd of {cents(self._limit)} is reached"
