"""Replace files as a whole: a reader gets the old content or the new one, never a part."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside ``path``. It replaces ``path`` when the block ends without an error.

    Its name holds the process id, so that two processes that write one file do not share it. A block that
    raises leaves ``path`` unchanged, and no temporary file.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` (text as UTF-8) to ``path``, replacing what is there.

    Raises:
        OSError: it cannot be written; what was there is unchanged.
    """
    with replacing(path) as fresh:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)


def write_all_or_none(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write several files of one folder, or none when one of them cannot be written (a full disk).

    Raises:
        OSError: one cannot be written; the files that were there are unchanged.
    """
    with contextlib.ExitStack() as replaced:
        for name, content in contents.items():
            fresh = replaced.enter_context(replacing(folder / name))
            fresh.write_bytes(content.encode() if isinstance(content, str) else content)
