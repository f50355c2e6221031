"""What this suite created: append-only JSON lines, each written before its create call.

After a crash, a SIGKILL or a power cut, `teardown` starts from it. The process that writes it also keeps its
entries in memory: if the file disappears during the run, the run still deletes what it created.
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
"""``refused``: the create call certainly created nothing. ``creating``: it may have."""

_CLOSED: frozenset[State] = frozenset({"refused", "deleted"})


@dataclass(frozen=True)
class Item:
    """One resource: its owner, its location, its cost and its state."""

    kind: KindName
    name: str
    group: str
    """The name of the endpoint or fleet that it belongs to."""
    run_id: str
    owner: str
    region: str
    api: str
    """The URL of the control plane that created it; no other one knows it."""
    account: str
    created_at: float
    """Epoch seconds just before the create call."""
    expires_at: float | None = None
    instance_type: str | None = None
    instance_count: int = 1
    usd_per_hour: float | None = None
    """Of one instance; None on anything but an endpoint or a fleet."""
    arn: str | None = None
    state: State = "creating"
    process: str | None = None
    """The `owner.Process` that created it, as text; None in older ledgers."""
    closed_at: float | None = None
    """Epoch seconds when it was confirmed to be deleted, or not to have been created."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Identifies the resource."""
        return (self.api, self.region, self.kind, self.name)

    def priced(self, instance_type: str, instance_count: int, usd_per_hour: float | None) -> "Item":
        """The same item with its endpoint's price."""
        return replace(
            self, instance_type=instance_type, instance_count=instance_count, usd_per_hour=usd_per_hour
        )

    def cost_usd(self, until: float) -> float | None:
        """Dollars from the create call to ``until`` or to its deletion; None if the price is not known.

        Of a fleet at most until it expires: its hosts terminate themselves then.
        """
        if self.state == "refused":
            return 0.0
        if self.usd_per_hour is None:
            return None
        terminated_at = self.expires_at if self.kind == "fleet" else None
        until = min(end for end in (until, self.closed_at, terminated_at) if end is not None)
        return max(0.0, until - self.created_at) / 3600 * self.usd_per_hour * self.instance_count


class Ledger:
    """A folder of JSON-lines files, one per run.

    Args:
        folder: where to write; None: the state folder's ledger, and the ledgers of older versions are read
            too.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or ledger_folder()
        self._older = () if folder else tuple(old_ledger_folders())
        self._written: dict[tuple[str, str, str, str], Item] = {}
        self.unreadable: list[str] = []
        """Lines that are valid JSON but not an item; list them wherever items are listed."""

    def will_create(self, item: Item) -> None:
        """Record durably that ``item`` is about to be created.

        Raises:
            UserError: the ledger cannot be written, so nothing may be created.
        """
        self._append(item.run_id, asdict(item) | {"at": item.created_at})
        self._written[item.key] = item

    def mark(self, item: Item, state: State, arn: str | None = None) -> Item:
        """Record the new state of ``item``; returns the updated item."""
        now = time.time()
        closed_at = (item.closed_at or now) if state in _CLOSED else None
        updated = replace(item, state=state, arn=arn or item.arn, closed_at=closed_at)
        self._written[item.key] = updated
        # A full disk must not stop a deletion: for a missing line, the next teardown makes one more call.
        with contextlib.suppress(UserError):
            self._append(item.run_id, asdict(updated) | {"at": now})
        return updated

    def items(self, run_id: str | None = None) -> list[Item]:
        """Everything ever created, by one run or by all, in its latest state, oldest first."""
        latest: dict[tuple[str, str, str, str], Item] = {}
        for line in self._lines(run_id):
            if item := _item(line):
                latest[item.key] = item
            elif (text := json.dumps(line)) not in self.unreadable:
                self.unreadable.append(text)
        written = list(self._written.items())  # at once: pages ask from threads of their own
        latest |= {key: item for key, item in written if run_id in (None, item.run_id)}
        return sorted(latest.values(), key=lambda item: item.created_at)

    def open_items(self, run_id: str | None = None) -> list[Item]:
        """What may still exist, of one run or of all."""
        return [item for item in self.items(run_id) if item.state not in _CLOSED]

    def usual_boot_s(self, api: str, instance_type: str) -> float | None:
        """Median seconds from create call to InService for the type; None without earlier runs."""
        boots_s = [
            line["at"] - line["created_at"]
            for line in self._lines()
            if line.get("kind") == "endpoint"
            and line.get("state") == "in_service"
            and line.get("api") == api
            and line.get("instance_type") == instance_type
        ]
        return statistics.median(boots_s) if boots_s else None

    def _file(self, run_id: str) -> Path:
        return self.folder / _file_name(run_id)

    def _append(self, run_id: str, line: dict[str, Any]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._file(run_id).open("ab+") as file:
                if file.tell() and not _ends_a_line(file):
                    file.write(b"\n")  # a crash cut off the last line: keep this one separate
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(
                f"the ledger of created resources cannot be written ({error})",
                f"make {self.folder} writable, or set {HOME_VARIABLE} to another folder",
            ) from error

    def _lines(self, run_id: str | None = None) -> Iterator[dict[str, Any]]:
        names = "*.jsonl" if run_id is None else glob.escape(_file_name(run_id))
        for path in (path for folder in (*self._older, self.folder) for path in sorted(folder.glob(names))):
            for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    line = json.loads(text)
                except json.JSONDecodeError:
                    continue  # cut off by a crash while writing: its create call was never made
                if isinstance(line, dict):
                    yield line


def _file_name(run_id: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', run_id)}.jsonl"


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _item(line: dict[str, Any]) -> Item | None:
    values = {field.name: line[field.name] for field in fields(Item) if field.name in line}
    try:
        return Item(**values)
    except TypeError:
        return None
