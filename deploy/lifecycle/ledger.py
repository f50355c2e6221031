"""What we created and have not yet seen gone: append-only JSON lines, written before each create call.

A crash, a SIGKILL or a power cut between two lines leaves the first: `teardown` starts from it. The process
that writes it also remembers what it wrote: should the file go meanwhile, it still deletes what is its own.
"""

import contextlib
import glob
import json
import os
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from common.errors import UserError
from common.paths import HOME_VARIABLE, ledger_folder, old_ledger_folders
from deploy.aws.resources import KindName

State = Literal["creating", "created", "in_service", "refused", "deleted"]
"""``refused``: the create call certainly made nothing. ``creating``: it may have."""

_CLOSED: frozenset[State] = frozenset({"refused", "deleted"})


@dataclass(frozen=True)
class Item:
    """One resource: whose it is, where it lives, what it costs, and how far it got."""

    kind: KindName
    name: str
    group: str
    """Name of the endpoint that it belongs to."""
    run_id: str
    owner: str
    region: str
    api: str
    """URL of the control plane that made it; no other can be asked about it."""
    account: str
    created_at: float
    """Epoch seconds just before the create call."""
    expires_at: float | None = None
    instance_type: str | None = None
    instance_count: int = 1
    usd_per_hour: float | None = None
    """Of one instance; only on an endpoint."""
    arn: str | None = None
    state: State = "creating"
    process: str | None = None
    """`owner.Process` that made it, as text; None in ledgers from before it was written."""
    closed_at: float | None = None
    """Epoch seconds at which it was known to be gone, or never to have been."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it one thing and not another."""
        return (self.api, self.region, self.kind, self.name)

    def priced(self, instance_type: str, instance_count: int, usd_per_hour: float | None) -> "Item":
        """The same item with what its endpoint costs."""
        return replace(
            self, instance_type=instance_type, instance_count=instance_count, usd_per_hour=usd_per_hour
        )

    def cost_usd(self, until: float) -> float | None:
        """Dollars from the create call to ``until`` or to its end; None when the price is not known."""
        if self.state == "refused":
            return 0.0
        if self.usd_per_hour is None:
            return None
        until = until if self.closed_at is None else min(until, self.closed_at)
        return max(0.0, until - self.created_at) / 3600 * self.usd_per_hour * self.instance_count


class Ledger:
    """A folder of JSON-lines files, one per run.

    Args:
        folder: where to write; by default the state folder's, and then the ledgers of older versions are read
            as well.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or ledger_folder()
        self._older = () if folder else tuple(old_ledger_folders())
        self._written: dict[tuple[str, str, str, str], Item] = {}
        self.unreadable: list[str] = []
        """Whole lines that are none of ours; whoever lists items should mention them."""

    def will_create(self, item: Item) -> None:
        """Record, durably, that ``item`` is about to be created.

        Raises:
            UserError: the ledger cannot be written; nothing may be created then.
        """
        self._append(item.run_id, asdict(item) | {"at": item.created_at})
        self._written[item.key] = item

    def mark(self, item: Item, state: State, arn: str | None = None) -> Item:
        """Record what became of ``item``; returns it as it now stands."""
        at = time.time()
        closed_at = (item.closed_at or at) if state in _CLOSED else None
        known = replace(item, state=state, arn=arn or item.arn, closed_at=closed_at)
        self._written[item.key] = known
        # A disk that is full must not stop a deletion: a line that is missing costs the next teardown a look.
        with contextlib.suppress(UserError):
            self._append(item.run_id, asdict(known) | {"at": at})
        return known

    def items(self, run_id: str | None = None) -> list[Item]:
        """Everything ever created, by one run or by all, as it stands, oldest first."""
        latest: dict[tuple[str, str, str, str], Item] = {}
        for line in self._lines(run_id):
            if item := _item(line):
                latest[item.key] = item
            elif (text := json.dumps(line)) not in self.unreadable:
                self.unreadable.append(text)
        latest |= {key: item for key, item in self._written.items() if run_id in (None, item.run_id)}
        return sorted(latest.values(), key=lambda item: item.created_at)

    def open_items(self, run_id: str | None = None) -> list[Item]:
        """What may still exist, of one run or of all."""
        return [item for item in self.items(run_id) if item.state not in _CLOSED]

    def usual_boot_s(self, api: str, instance_type: str) -> float | None:
        """Median of the seconds from create call to InService of the type; None where none is known."""
        known = [
            line["at"] - line["created_at"]
            for line in self._lines()
            if line.get("kind") == "endpoint"
            and line.get("state") == "in_service"
            and line.get("api") == api
            and line.get("instance_type") == instance_type
        ]
        return statistics.median(known) if known else None

    def _file(self, run_id: str) -> Path:
        return self.folder / _file_name(run_id)

    def _append(self, run_id: str, line: dict[str, Any]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._file(run_id).open("ab+") as file:
                if file.tell() and not _ends_a_line(file):
                    file.write(b"\n")  # a crash tore the last line: keep it from swallowing this one
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(
                f"the ledger of what is created cannot be written ({error}): free {self.folder}, "
                f"or set {HOME_VARIABLE} to a folder that can be written"
            ) from error

    def _lines(self, run_id: str | None = None) -> Iterator[dict[str, Any]]:
        names = "*.jsonl" if run_id is None else glob.escape(_file_name(run_id))
        for path in (path for folder in (*self._older, self.folder) for path in sorted(folder.glob(names))):
            for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    line = json.loads(text)
                except json.JSONDecodeError:
                    continue  # torn by a crash while writing: its create call was never made
                if isinstance(line, dict):
                    yield line


def _file_name(run_id: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', run_id)}.jsonl"


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _item(line: dict[str, Any]) -> Item | None:
    known = {field.name: line[field.name] for field in fields(Item) if field.name in line}
    try:
        return Item(**known)
    except TypeError:
        return None
