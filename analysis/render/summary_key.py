"""One key of ``summary.json`` as the table of its keys describes it."""

import itertools
import re
from dataclasses import dataclass

AWS_REQUEST = "AWS request"
ANY_CONTENT = (AWS_REQUEST, "any")
"""Types of values whose own keys the table does not list."""
NAME = re.compile(r"<[a-z ]+>")


@dataclass(frozen=True)
class Key:
    """A row of the table.

    ``path`` joins the keys with full stops. ``[]`` stands for each item of a list, ``<name>`` for any key,
    and ``{a,b}`` for each of the keys named.
    """

    path: str
    kind: str
    unit: str
    meaning: str
    null: str = ""
    """When the value is null or the key absent; empty where it always has a value."""

    @property
    def paths(self) -> list[str]:
        """The paths that the row stands for, without braces."""
        parts = re.split(r"\{([^}]*)\}", self.path)
        choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
        return ["".join(chosen) for chosen in itertools.product(*choices)]


def below(prefix: str, *rows: tuple[str, ...]) -> tuple[Key, ...]:
    """Keys whose paths begin with a prefix; each row has the fields of `Key`."""
    return tuple(Key(f"{prefix}{row[0]}", *row[1:]) for row in rows)
