"""Read the trace that a plan or a command names: a file, a folder, or an S3 URI; and what a plan replays."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from common.errors import UserError
from common.formatting import duration, plural
from configs.load import TraceSize
from configs.plan import Plan
from deploy.aws.clients import Clients
from deploy.aws.s3 import SCHEME, download
from payloads.traces.prefixes import shared_blocks
from payloads.traces.reading import SUFFIXES, OnMalformed, read_trace
from payloads.traces.trace import Trace
from runfolder.replayed_trace import TraceRow, write_bodies

_LEAST_WINDOW_S = 5.0
"""What a warm-up must leave of a trace."""


def load_trace(
    file: str, on_malformed: OnMalformed, region: str | None = None, *, bodies: bool = False
) -> Trace:
    """Read a trace. Objects of S3 are copied to a temporary folder, which is deleted again.

    Args:
        file: a file, a folder, or ``s3://bucket/prefix``.
        on_malformed: what to do with a line that cannot be read.
        region: of the bucket; by default that of the AWS configuration.
        bodies: whether to keep the captured bodies of the requests.

    Raises:
        UserError: it cannot be read.
    """
    if not file.startswith(SCHEME):
        return read_trace(Path(file), on_malformed, bodies=bodies)
    with tempfile.TemporaryDirectory(prefix="trace-") as folder:
        download(Clients.from_environment(region).client("s3"), file, Path(folder), SUFFIXES)
        return read_trace(Path(folder), on_malformed, shown=file, bodies=bodies)


@contextlib.contextmanager
def bodies_file(bodies: Sequence[bytes]) -> Iterator[Path | None]:
    """A file of captured bodies for the load to read, deleted at the end; None without bodies.

    It is not in the run folder, which people share, and only this user may read it.
    """
    if not bodies:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="bodies-") as folder:
        write_bodies(path := Path(folder) / "bodies", bodies)
        yield path


class ReplayedTrace(NamedTuple):
    """What a plan replays."""

    rows: list[TraceRow]
    """Empty if it replays nothing."""
    bodies: list[bytes]
    """The body of each row, if the plan replays them."""
    prefixes_lost: bool = False
    """Whether its prompts begin alike and those of the payload do not."""


def read_replayed_trace(plan: Plan) -> ReplayedTrace:
    """The trace that the plan replays.

    Raises:
        UserError: it cannot be read, has no times or no bodies, or is over before the warm-up.
    """
    replay = plan.load.trace
    if replay is None:
        return ReplayedTrace([], [])
    trace = load_trace(
        replay.file,
        "skip" if replay.skip_malformed else "stop",
        plan.endpoint.region,
        bodies=replay.bodies,
    )
    trace = trace if replay.limit is None else trace.limited(replay.limit)
    shortest = trace.duration_s / max(replay.speed)
    if shortest < plan.load.warm_up_s + _LEAST_WINDOW_S:
        raise UserError(
            f"load.trace: {replay.file} takes {duration(shortest)} at speed {max(replay.speed):g}, too short "
            f"for a window of {_LEAST_WINDOW_S:g} s after the warm-up of {duration(plan.load.warm_up_s)}",
            "lower load.trace.speed or load.warm_up, or give a longer trace",
        )
    schema = plan.workload.request_schema
    bodies = [a.body for a in trace.arrivals if a.body is not None] if replay.bodies else []
    missing = len(trace.arrivals) - len(bodies)
    if replay.bodies and missing:
        raise UserError(
            f"load.trace.bodies: {plural(missing, 'request')} of {replay.file} without a body",
            "give a trace of SageMaker's data capture that captured the input, or set bodies: false",
        )
    sessions = replay.sessions and not bodies and any(arrival.session for arrival in trace.arrivals)
    if sessions and schema in ("raw", "embeddings"):
        raise UserError(
            f"load.trace: {replay.file} has sessions, and workload.schema: {schema} has no place for the "
            "answers before a turn",
            "set load.trace.sessions: false",
        )
    rows = _trace_rows(plan, trace, sessions=sessions)
    alike = not bodies and any(a.prefix for a in trace.arrivals)
    lost = alike and not all(spec.replays(replay.file) for spec in plan.workload.specs)
    return ReplayedTrace(rows, bodies, lost)


def _trace_rows(plan: Plan, trace: Trace, *, sessions: bool) -> list[TraceRow]:
    """What the load needs of a trace. A prompt that is not made from it shares its beginning with none."""
    made = any(spec.replays(replayed_file(plan)) for spec in plan.workload.specs)
    chains = shared_blocks(trace.arrivals) if made else repeat(())
    return [
        TraceRow(
            a.at_s,
            a.prompt_tokens,
            a.output_tokens,
            session=a.session if sessions else None,
            prefix=" ".join(map(str, blocks)) or None,
            block_tokens=a.block_tokens if blocks else None,
        )
        for a, blocks in zip(trace.arrivals, chains, strict=False)
    ]


def replayed_file(plan: Plan) -> str | None:
    """The trace whose prompts are sent again; None if there is none, or if its bodies are sent."""
    replay = plan.load.trace
    return None if replay is None or replay.bodies else replay.file


def trace_size(rows: Sequence[TraceRow]) -> TraceSize | None:
    """What a replay takes; None without a trace."""
    return TraceSize(len(rows), rows[-1].at_s) if rows else None
