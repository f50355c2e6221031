"""gevent's monkey patching without a look at the installed packages.

gevent offers each module that it patches to plug-ins, and for each one it reads the metadata of every
installed package: 25 times in each process. This project uses no plug-ins.
"""

from gevent import config, events, monkey


def patch_all() -> None:
    """``gevent.monkey.patch_all()`` without plug-ins. Call it before anything else is imported.

    Greenlets do not record the stack that spawned them: its frames are cycles, which the garbage collector
    would have to find.
    """
    config.track_greenlet_tree = False
    looked_up, events.notify_and_call_entry_points = events.notify_and_call_entry_points, events.notify
    try:
        monkey.patch_all()
    finally:
        events.notify_and_call_entry_points = looked_up
