"""Encrypts the connections between Locust's master and workers under the token of the run (CurveZMQ).

The master's key pair is made from the token. CurveZMQ never sends a server's public key, and a client without
it cannot complete the handshake: ZeroMQ closes such a connection before Locust sees a message. So only those
who have the token are heard, no address that pretends to be the master is obeyed, and nobody can read along.
"""

import hashlib
import hmac
from typing import Any

import zmq
from zmq.utils import z85

from common.errors import UserError
from locustfiles.message_seal import MAX_BYTES
from locustfiles.messages import MOST_ASSIGNMENT_BYTES

_PURPOSE = b"CurveZMQ key of the master"
_ENVELOPE_BYTES = 1_000_000
"""What Locust and the seal add to a message, and Locust's own statistics."""
_HANDSHAKE_MS = 10_000
"""ZeroMQ closes a connection that has not completed its handshake by then."""


def encrypt_connections(sockets: Any, token: str) -> None:
    """Encrypt every connection that Locust opens in this process from now on.

    Args:
        sockets: Locust's class of sockets, which has no setting for their options.
        token: of the run.

    Raises:
        UserError: ZeroMQ was built without encryption.
    """
    if not zmq.has("curve"):
        raise UserError(
            f"ZeroMQ {zmq.zmq_version()} of this machine was built without encryption (CURVE)",
            "install pyzmq from PyPI, as `make setup` does",
        )
    plain = sockets.__init__

    def init(self: Any, *arguments: Any) -> None:
        plain(self, *arguments)
        protect(self.socket, token)

    sockets.__init__ = init


def protect(socket: "zmq.Socket[Any]", token: str) -> None:
    """Set the keys and limits of a socket that is not yet bound or connected."""
    master = z85.encode(hmac.digest(token.encode(), _PURPOSE, hashlib.sha256))
    socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
    if socket.type == zmq.ROUTER:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, master)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES + _ENVELOPE_BYTES)
        return
    public, secret = zmq.curve_keypair()
    socket.setsockopt(zmq.CURVE_SERVERKEY, zmq.curve_public(master))
    socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
    socket.setsockopt(zmq.MAXMSGSIZE, MOST_ASSIGNMENT_BYTES + _ENVELOPE_BYTES)
