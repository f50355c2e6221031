"""Arrival times from the kernel: when bytes reached this machine, however late they are read."""

import socket
import struct
import sys
from collections.abc import Sequence

# include/uapi/linux/net_tstamp.h and asm-generic/socket.h; Python's socket module does not name them.
_SO_TIMESTAMPING = 37
_SCM_TIMESTAMPING = 37
_RX_SOFTWARE = 1 << 3
_SOFTWARE = 1 << 4

_TIMESPEC = struct.Struct("@ll")
ANCILLARY_SIZE = socket.CMSG_SPACE(3 * _TIMESPEC.size)
"""Buffer size that ``recvmsg`` needs for one stamp (``struct scm_timestamping`` holds three)."""


def enable(sock: socket.socket) -> bool:
    """Request a software receive stamp for every read; False if the platform has none."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)
    except OSError:
        return False
    return True


def stamp(ancillary: Sequence[tuple[int, int, bytes]]) -> float | None:
    """Epoch seconds at which the last segment of this read arrived; None if the kernel gave no stamp."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SCM_TIMESTAMPING and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            if seconds:
                return float(seconds + nanoseconds * 1e-9)
    return None
