"""TLS on a real socket: certificates and host names are verified, and stamps stay the kernel's."""

from pathlib import Path

import gevent
import pytest

from bench.calibration.certificates import make_certificates
from locustfiles.client.transport import verifying_context
from tests.locustfiles.support import HANG_S, Client, sends, stream, target
from tests.locustfiles.tls import tls_server


def test_tls_with_a_valid_certificate(tmp_path: Path) -> None:
    server, context = tls_server(tmp_path, sends(*stream()))
    client = Client(target(server.port, scheme="https"), context=context)
    with gevent.Timeout(HANG_S):
        rows = [client.invoke().request for _ in range(3)]
    server.close()
    assert [row.outcome for row in rows] == ["ok"] * 3
    assert rows[0].arrival_clock == "kernel"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [({"valid_days": -1.0}, "expired"), ({"hosts": ("elsewhere.example",)}, "127.0.0.1")],
    ids=["expired", "wrong host name"],
)
def test_a_bad_certificate_is_a_connection_fault(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    server, context = tls_server(tmp_path, sends(*stream()), **options)
    with gevent.Timeout(HANG_S):
        request = Client(target(server.port, scheme="https"), context=context).invoke().request
    server.close()
    assert request.error_class == "connection"
    assert words in str(request.error_detail)
    assert not server.requests


def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    server, _ = tls_server(tmp_path, sends(*stream()))
    other = tmp_path / "other"
    other.mkdir()
    context = verifying_context(str(make_certificates(other).authority))
    with gevent.Timeout(HANG_S):
        request = Client(target(server.port, scheme="https"), context=context).invoke().request
    server.close()
    assert request.error_class == "connection"
    assert not server.requests
