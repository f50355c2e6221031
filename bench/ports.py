"""Ports of this machine."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import Setting, UserError


@contextmanager
def listening(host: str, port: int, setting: Setting = "port") -> Iterator[socket.socket]:
    """A socket that listens on an address.

    Args:
        host: the interface.
        port: of it.
        setting: where the port was set.

    Raises:
        UserError: it cannot, because of the host or because of the port.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise UserError(
                    f"port {port} cannot be used ({error.strerror})", "choose another port", setting
                ) from None
            raise UserError(
                f"this machine cannot listen on {host} ({error.strerror})",
                "give one of its own addresses, or none for this machine only",
                "interface",
            ) from None
        listener.listen()
        yield listener


def check_port(host: str, port: int) -> None:
    """Check that this machine can listen on an address.

    Raises:
        UserError: it cannot, because of the host or because of the port.
    """
    with listening(host, port):
        pass


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
