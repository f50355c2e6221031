"""Drops what arrives at Locust's port and is not a valid message of a worker of this run."""

from locust.exception import RPCError
from locust.rpc.protocol import Message

from collections.abc import Callable
from typing import Any

from locustfiles.messages import HELLO

_BEFORE_HELLO = frozenset({"client_ready", "heartbeat", "spawning", "quit", "client_stopped", HELLO})
"""What Locust sends before our hello. Statistics and users are accepted from known workers only."""
_DROPPED_SILENTLY = frozenset({"stats", "logs"})
"""A worker also sends these before its hello, but they are empty."""


class MessageFilter:
    """Wraps the socket of Locust's master (`locust.rpc.zmqrpc.Server`).

    Locust's listener stops for good at the first packet that it cannot read, and accepts any sender id that a
    message claims. This filter drops such packets, and compares the claimed id with the socket's identity.

    Args:
        server: Locust's own.
        is_known: whether a client id has proved that it belongs to the run.
        on_drop: called with the reason when a message is dropped.
    """

    def __init__(self, server: Any, is_known: Callable[[str], bool], on_drop: Callable[[str], None]) -> None:
        self._server = server
        self._is_known = is_known
        self._drop = on_drop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def recv_from_client(self) -> tuple[str, Message]:
        """The next valid message, and the identity of the socket that sent it.

        Raises:
            RPCError: the socket is broken.
        """
        while True:
            try:
                address, message = self._server.recv_from_client()
            except RPCError:
                raise
            except Exception as error:  # noqa: BLE001 - a packet can make msgpack and Locust raise anything
                # Also RPCReceiveError, upon which Locust would handle the message before it once more.
                self._drop(f"not a Locust message ({type(error).__name__})")
                continue
            if not isinstance(message.type, str) or message.node_id != address:
                self._drop("sender id of another client")
            elif not _readable(message):
                self._drop(f"{message.type} with invalid content")
            elif message.type in _BEFORE_HELLO or self._is_known(address):
                return address, message
            elif message.type not in _DROPPED_SILENTLY:
                self._drop(f"{message.type} from an unregistered client")


def _readable(message: Message) -> bool:
    """Whether Locust's listener can read a message that it accepts from unknown senders."""
    match message.type:
        case "client_ready":
            return isinstance(message.data, str)
        case "heartbeat":
            data = message.data if isinstance(message.data, dict) else {}
            return isinstance(data.get("state"), str) and isinstance(
                data.get("current_cpu_usage"), int | float
            )
    return True
