"""The master's door: what comes in over Locust's port is a message of Locust's shape, or nothing."""

from locust.exception import RPCError, RPCReceiveError
from locust.rpc.protocol import Message

from collections.abc import Callable
from typing import Any

from locustfiles.messages import HELLO

_UNPROVEN = frozenset({"client_ready", "heartbeat", "spawning", "quit", "client_stopped", HELLO})
"""What Locust says before our hello can come. Statistics and users are taken of known workers only."""
_EARLY = frozenset({"stats", "logs"})
"""What a worker sends before its hello, and empty."""


class MessageFilter:
    """Stands in for the socket of Locust's master (`locust.rpc.zmqrpc.Server`).

    Locust's listener ends for good at the first packet that it cannot read, and believes every sender's word
    on who it is. Here such a packet is dropped, and a sender is who its socket says.

    Args:
        server: Locust's own.
        knows: whether a client has proved that it belongs to the run.
        drop: told why a packet was dropped.
    """

    def __init__(self, server: Any, knows: Callable[[str], bool], drop: Callable[[str], None]) -> None:
        self._server = server
        self._knows = knows
        self._drop = drop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def recv_from_client(self) -> tuple[str, Message]:
        """The next message that is one, and the identity of the socket from which it came.

        Raises:
            RPCError: the socket is broken.
            RPCReceiveError: the message was cut off; Locust asks its sender to connect anew.
        """
        while True:
            try:
                address, message = self._server.recv_from_client()
            except (RPCError, RPCReceiveError):
                raise
            except Exception as error:  # noqa: BLE001 - msgpack and Locust raise whatever a packet leads to
                self._drop(f"not a message of Locust's ({type(error).__name__})")
                continue
            if not isinstance(message.type, str) or message.node_id != address:
                self._drop("under the name of another")
            elif not _readable(message):
                self._drop(f"{message.type} with another content")
            elif message.type in _UNPROVEN or self._knows(address):
                return address, message
            elif message.type not in _EARLY:
                self._drop(f"{message.type} from a stranger")


def _readable(message: Message) -> bool:
    """Whether Locust's listener can read what it reads of senders that it does not know."""
    match message.type:
        case "client_ready":
            return isinstance(message.data, str)
        case "heartbeat":
            data = message.data if isinstance(message.data, dict) else {}
            return isinstance(data.get("state"), str) and isinstance(
                data.get("current_cpu_usage"), int | float
            )
    return True
