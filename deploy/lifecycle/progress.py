"""What a creation or a deletion reports while it is waited for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from deploy.lifecycle.ledger import Item

ProgressState = Literal[
    "status", "not_visible", "no_answer", "deleting", "deletion_refused", "deleted", "not_deleted"
]


@dataclass(frozen=True)
class Progress:
    """One observation of one resource."""

    item: Item
    state: ProgressState
    """``status``, ``not_visible`` and ``no_answer`` while it is created; the others while it is deleted."""
    detail: str = ""
    """``status``: AWS's status. ``no_answer``, ``deletion_refused`` and ``not_deleted``: the reason."""
    elapsed_s: float = 0.0
    """Seconds since the wait for it, or the deletion of the endpoint and its parts, began."""
    usual_s: float | None = None
    """Seconds that it usually takes; None where that is not known."""
    cost_usd: float | None = None
    """Dollars since its create call; None where the price is not known, and while it is deleted."""
    retry_until: str = ""
    """``deletion_refused``: local time until which the deletion is retried, as ``HH:MM``."""

    @property
    def is_deletion(self) -> bool:
        """Whether it is about a deletion."""
        return self.state in ("deleting", "deletion_refused", "deleted", "not_deleted")

    def as_data(self) -> dict[str, Any]:
        """The observation for programs, without the rest of the item."""
        return {
            "kind": self.item.kind,
            "name": self.item.name,
            "state": self.state,
            "detail": self.detail or None,
            "elapsed_s": self.elapsed_s,
            "usual_s": self.usual_s,
            "cost_usd": self.cost_usd,
        }

    def __str__(self) -> str:
        """The state as people read it."""
        match self.state:
            case "not_visible":
                return "not visible yet"
            case "no_answer":
                return f"no answer ({self.detail})"
            case "deletion_refused":
                return f"not deleted yet ({self.detail}); still retrying, until {self.retry_until}"
            case "status" | "not_deleted":
                return self.detail
            case _:
                return self.state


OnProgress = Callable[[Progress], None]


def ignore_progress(_progress: Progress) -> None:
    """Report nothing."""
