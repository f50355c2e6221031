"""gevent's monkey patching, with one look at the installed packages.

gevent offers each module that it patches to plug-ins, and for each one it reads the metadata of every
installed package: 25 times in each process.
"""

from importlib import metadata
from typing import Any

from gevent import config, monkey


def patch_all() -> None:
    """``gevent.monkey.patch_all()``, with the same plug-ins. Call it before anything else is imported.

    Greenlets do not record the stack that spawned them: its frames are cycles, which the garbage collector
    would have to find.
    """
    config.track_greenlet_tree = False
    read, found = metadata.entry_points, metadata.entry_points()

    def select(**wanted: Any) -> Any:
        return found.select(**wanted)

    metadata.entry_points = select
    try:
        monkey.patch_all()
    finally:
        metadata.entry_points = read
