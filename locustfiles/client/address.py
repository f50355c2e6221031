"""Where to connect: the endpoint's address, and the proxy before it, by botocore's variables."""

import base64
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from common.errors import UserError


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect: host and port, and whether TLS is spoken there."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that opens tunnels (CONNECT). Its credentials never show in a repr."""

    host: str
    port: int
    authorization: str | None = None
    """Value of the Proxy-Authorization header."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self})"

    def connect_request(self, address: Address) -> bytes:
        """The request for a tunnel to ``address``."""
        authorization = f"Proxy-Authorization: {self.authorization}\r\n" if self.authorization else ""
        return f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{authorization}\r\n".encode()


def proxy_for(address: Address) -> Proxy | None:
    """HTTPS_PROXY, unless NO_PROXY covers the address; none for plain HTTP.

    Raises:
        UserError: the proxy's URL is not usable.
    """
    named = getproxies().get("https")
    if not address.tls or not named or proxy_bypass(str(address)):
        return None
    url = urlsplit(named if "://" in named else f"http://{named}")
    try:
        host, port = url.hostname, url.port or 80
    except ValueError:
        host, port = None, 0
    if url.scheme != "http" or not host:  # the URL may hold a password: it is not repeated
        raise UserError("HTTPS_PROXY: give the proxy as http://host:port; other kinds are not supported")
    if url.username is None:
        return Proxy(host, port)
    credentials = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return Proxy(host, port, f"Basic {base64.b64encode(credentials.encode()).decode()}")
