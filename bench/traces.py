"""Read the trace that a plan or a command names: a file, a folder, or an S3 URI."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.aws.clients import Clients
from deploy.aws.s3 import SCHEME, download
from payloads.traces.reading import SUFFIXES, OnMalformed, read_trace
from payloads.traces.trace import Trace
from runfolder.replayed_trace import write_bodies


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
