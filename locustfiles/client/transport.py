"""One kept-alive connection that records when its bytes arrived.

Reads go through ``recvmsg``, so every read carries the kernel's arrival time (``timestamps``); under TLS
the stamped bytes are ciphertext, so an `ssl.MemoryBIO` sits between socket and parser.
"""

import _socket
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable

import gevent
from gevent import get_hub
from gevent import socket as gevent_socket
from gevent.hub import Waiter

from locustfiles.client import kernel_timestamps
from locustfiles.client.address import Address, Proxy

_READ = 1
_WRITE = 2
_FIRST, _IN_TURN = 2, 0  # libev's highest and its usual priority
_TLS_RECORD = 16_384
_LARGE_READ = 65_536
_TCP_INFO_MIN_RTT = 148  # tcpi_min_rtt in Linux's struct tcp_info (4.6 and later), microseconds
_TCP_INFO_BYTES = 152
_NO_RTT = 0xFFFF_FFFF  # nothing was measured yet


class ConnectError(Exception):
    """No connection could be opened; the message says why."""


class Connection:
    """One connection to one address, opened on demand. Do not share it between greenlets.

    Args:
        address: host and port to connect to.
        context: for TLS; None for plain HTTP.
        proxy: opens the tunnel; None for a direct connection.
    """

    def __init__(self, address: Address, context: ssl.SSLContext | None, proxy: Proxy | None = None) -> None:
        self._address = address
        self._proxy = proxy
        self._context = context if address.tls else None
        self._sock: _socket.socket | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._stamped = False
        self._on_readable: Callable[[], None] = self.close  # until there is something to receive
        self.stamp = 0.0
        """Epoch seconds at which the last bytes read had arrived."""
        self.by_kernel = False
        """Whether ``stamp`` is the kernel's; otherwise it is this process's clock after the read."""

    @property
    def is_open(self) -> bool:
        """Whether a connection is open here; the other end may have closed it (see ``idle_state``)."""
        return self._sock is not None

    @property
    def rtt_ms(self) -> float | None:
        """Smallest round trip of the open connection in the last five minutes, the handshake included.

        The kernel's TCP measures it; None if it is not available.
        """
        if self._sock is None or not hasattr(socket, "TCP_INFO"):
            return None
        info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        if len(info) < _TCP_INFO_BYTES:
            return None
        microseconds: int = struct.unpack_from("=I", info, _TCP_INFO_MIN_RTT)[0]
        return microseconds / 1000 if microseconds < _NO_RTT else None

    def open(self, timeout: float) -> float:
        """Connect, through the proxy if there is one, and do the TLS handshake if the address needs it.

        Returns:
            Duration in milliseconds.

        Raises:
            ConnectError: refused, unreachable, unknown host, no tunnel, invalid certificate, or time-out.
        """
        started = time.perf_counter()
        try:
            with gevent.Timeout(timeout):
                self._connect()
                if self._proxy is not None:
                    self._send_raw(self._proxy.connect_request(self._address))
                    self._await_tunnel()
                if self._context is not None:
                    self._handshake(self._context)
        except gevent.Timeout:
            self.close()
            raise ConnectError(f"no connection to {self._where} in {timeout:g} s") from None
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise ConnectError(f"TLS certificate of {self._where}: {error.verify_message}") from None
        except (OSError, ssl.SSLError) as error:
            self.close()
            raise ConnectError(f"{self._where}: {error.strerror or error}") from None
        except BaseException:
            self.close()
            raise
        return (time.perf_counter() - started) * 1000

    @property
    def _where(self) -> str:
        return f"{self._address}" + (f" through proxy {self._proxy}" if self._proxy else "")

    def _connect(self) -> None:
        failure: OSError = OSError("no address")
        peer = self._proxy or self._address
        for family, kind, protocol, _name, address in gevent_socket.getaddrinfo(
            peer.host, peer.port, 0, socket.SOCK_STREAM
        ):
            candidate = gevent_socket.socket(family, kind, protocol)
            self._stamped = kernel_timestamps.enable(candidate)
            try:
                candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                candidate.connect(address)
            except OSError as error:
                candidate.close()
                failure = error
                continue
            except BaseException:
                candidate.close()
                raise
            # The bare socket from here on: gevent's wrapper would try every read before it waits.
            self._sock = _socket.socket(family, kind, protocol, candidate.detach())
            self._sock.setblocking(False)  # noqa: FBT003 - the socket API
            loop = get_hub().loop
            self._readable = loop.io(self._sock.fileno(), _READ)
            self._writable = loop.io(self._sock.fileno(), _WRITE)
            return
        raise failure

    def _await_tunnel(self) -> None:
        """Read the proxy's answer; the bytes after it come from the endpoint."""
        head = b""
        while b"\r\n\r\n" not in head:
            get_hub().wait(self._readable)
            data = self._recvmsg(_TLS_RECORD)
            if data == b"" or len(head) > _LARGE_READ:
                raise ConnectionResetError("the proxy's answer was incomplete")
            head += data or b""
        status = head.partition(b"\r\n")[0].decode(errors="replace")
        if status.split(" ")[1:2] != ["200"]:
            raise ConnectError(f"{self._where}: the proxy answered {status[:100]!r}")

    def _handshake(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=self._address.host)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send_raw(self._outgoing.read())
                get_hub().wait(self._readable)
                data = self._recvmsg(_TLS_RECORD)
                if data == b"":
                    raise ConnectionResetError("closed during the TLS handshake") from None
                self._incoming.write(data or b"")
            except ssl.SSLError:
                self._flush_alert()
                raise
            else:
                self._send_raw(self._outgoing.read())
                self._tls = tls
                return

    def _flush_alert(self) -> None:
        if (alert := self._outgoing.read()) and self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.send(alert)

    def encode(self, data: bytes) -> bytes:
        """The bytes to send for ``data``; under TLS they are encrypted before timing starts."""
        if self._tls is None:
            return data
        self._tls.write(data)
        return self._outgoing.read()

    def send(self, encoded: bytes) -> None:
        """Send all encoded bytes.

        Raises:
            OSError: the connection is broken.
        """
        self._send_raw(encoded)

    def receive(self, consume: Callable[[bytes], bool]) -> None:
        """Pass bytes to ``consume`` as they arrive until it returns True; empty bytes mean end of file.

        ``consume`` runs in gevent's hub, so it must not wait: a greenlet switch for every token would be the
        largest part of its cost. Before each call ``stamp`` and ``by_kernel`` are set.

        Reads are large on purpose. The kernel joins segments that wait in the receive queue and keeps the
        last one's stamp, so a small read of a late reader would put that stamp on the first segment's bytes
        only, and the rest, joined again meanwhile, would get a later one.

        Raises:
            OSError: the connection is broken (`ssl.SSLError` is one).
        """
        if self._sock is None:
            raise ConnectionResetError("connection closed")
        waiter: Waiter[None] = Waiter()

        def on_readable() -> None:
            try:
                data = self._read_now()
                if data is not None and consume(data):
                    waiter.switch(None)
            except Exception as error:  # noqa: BLE001 - raised in the waiting greenlet
                waiter.throw(error)

        self._on_readable = on_readable
        self._watch(_FIRST)
        try:
            waiter.get()
        finally:
            self._readable.stop()

    def lower_read_priority(self) -> None:
        """Read this connection with normal priority from now on, after its first token.

        Before its first token, a connection is read ahead of those that are already streaming. They lose
        nothing by waiting, but a first token that is not read before the second one arrives loses its stamp.
        """
        self._readable.stop()
        self._watch(_IN_TURN)

    def _watch(self, priority: int) -> None:
        self._readable.priority = priority
        self._readable.start(self._on_readable)

    def _read_now(self) -> bytes | None:
        """Available bytes, decrypted; None while they do not complete any plaintext."""
        data = self._recvmsg(_LARGE_READ)
        if self._tls is None or not data:
            return data
        self._incoming.write(data)
        plain = self._decrypt(self._tls)
        if self._outgoing.pending and self._sock is not None:  # a key update needs an answer
            self._sock.send(self._outgoing.read())
        return plain

    def _decrypt(self, tls: ssl.SSLObject) -> bytes | None:
        """All available plaintext; None while no record is complete; empty at the end of TLS."""
        parts: list[bytes] = []
        while True:
            try:
                part = tls.read(_TLS_RECORD)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                return b"".join(parts)
            parts.append(part)
            if not part or not (self._incoming.pending or tls.pending()):
                break
        return b"".join(parts) if parts else None

    def idle_state(self) -> str:
        """State of a connection between two requests: ``quiet``, ``closed`` or ``surplus`` (extra bytes)."""
        if self._sock is None:
            return "closed"
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return "quiet"
        except OSError:
            return "closed"
        try:
            data = self._read_now()
        except OSError:
            return "closed"
        if data is None:
            return "quiet"  # a TLS session ticket, for example
        return "surplus" if data else "closed"

    def close(self) -> None:
        """Close the connection; may be called twice."""
        sock, self._sock, self._tls = self._sock, None, None
        if sock is not None:
            self._readable.close()
            self._writable.close()
            sock.close()

    def _send_raw(self, data: bytes) -> None:
        sock = self._sock
        if sock is None:
            raise ConnectionResetError("connection closed")
        unsent = memoryview(data)
        while unsent:
            try:
                unsent = unsent[sock.send(unsent) :]
            except BlockingIOError:
                get_hub().wait(self._writable)

    def _recvmsg(self, size: int) -> bytes | None:
        sock = self._sock
        if sock is None:
            raise ConnectionResetError("connection closed")
        try:
            data, ancillary, _flags, _address = sock.recvmsg(size, kernel_timestamps.ANCILLARY_SIZE)
        except BlockingIOError:
            return None
        arrived = kernel_timestamps.stamp(ancillary) if self._stamped else None
        self.by_kernel = arrived is not None
        self.stamp = time.time() if arrived is None else arrived
        return data


def verifying_context(ca_bundle: str) -> ssl.SSLContext:
    """A TLS context for all users that verifies certificates and host names against ``ca_bundle``.

    Raises:
        OSError: the bundle cannot be read.
    """
    context = ssl.create_default_context(cafile=ca_bundle)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
