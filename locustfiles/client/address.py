"""The address to connect to, and the proxy in front of it as botocore's variables name it."""

import base64
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from common.errors import UserError


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port to connect to, and whether to use TLS."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that opens tunnels (CONNECT). Its repr never shows credentials."""

    host: str
    port: int
    authorization: str | None = None
    """Value of the Proxy-Authorization header."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self})"

    def connect_request(self, address: Address) -> bytes:
        """The CONNECT request for a tunnel to ``address``."""
        authorization = f"Proxy-Authorization: {self.authorization}\r\n" if self.authorization else ""
        return f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{authorization}\r\n".encode()


def proxy_for(address: Address) -> Proxy | None:
    """HTTPS_PROXY, unless NO_PROXY covers the address; none for plain HTTP.

    Raises:
        UserError: the proxy's URL is not supported.
    """
    proxy_url = getproxies().get("https")
    if not address.tls or not proxy_url or proxy_bypass(str(address)):
        return None
    url = urlsplit(proxy_url if "://" in proxy_url else f"http://{proxy_url}")
    try:
        host, port = url.hostname, url.port or 80
    except ValueError:
        host, port = None, 0
    if url.scheme != "http" or not host:  # the URL may hold a password: it is not repeated
        raise UserError(
            "HTTPS_PROXY does not name an HTTP proxy", "use http://host:port; other proxies are not supported"
        )
    if url.username is None:
        return Proxy(host, port)
    credentials = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return Proxy(host, port, f"Basic {base64.b64encode(credentials.encode()).decode()}")
