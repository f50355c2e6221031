"""The way through a proxy: by the variables that botocore heeds, to the endpoint's own certificate."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from bench.calibration.certificates import make_certificates
from bench.calibration.probe import truth_server
from bench.calibration.truth import AnswerSchedule
from common.errors import UserError
from locustfiles.client.address import Address, proxy_for
from tests.locustfiles.runs import Run, experiment
from tests.locustfiles.support import HANG_S, Client, ConnectProxy, sends, stream, target
from tests.locustfiles.tls import tls_server

NAMES = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy")
RUNTIME = Address("runtime.sagemaker.eu-west-3.amazonaws.com", 443, tls=True)


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy() -> Iterator[Callable[..., ConnectProxy]]:
    made: list[ConnectProxy] = []

    def make(refusal: bytes = b"") -> ConnectProxy:
        made.append(ConnectProxy(refusal))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_tunnel_carries_tls_to_the_endpoint_with_the_kernels_stamps(
    proxy: Callable[..., ConnectProxy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = proxy()
    monkeypatch.setenv("HTTPS_PROXY", f"http://us%40er:secret@127.0.0.1:{between.port}")
    server, context = tls_server(tmp_path, sends(*stream()))
    where = target(server.port, scheme="https")
    client = Client(where, context=context, proxy=proxy_for(where.address))
    with gevent.Timeout(HANG_S):
        rows = [client.invoke().request for _ in range(2)]
    server.close()
    assert [(row.outcome, row.arrival_clock) for row in rows] == [("ok", "kernel")] * 2
    assert [row.connect_ms is None for row in rows] == [False, True]
    [head] = between.heads
    assert head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'us@er:secret').decode()}\r\n" in head
    assert all("Proxy-Authorization" not in request.decode() for request in server.requests)


def test_a_proxy_that_refuses_is_a_connection_fault_with_its_own_words(
    proxy: Callable[..., ConnectProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    between = proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{between.port}")
    where = target(9, scheme="https")
    with gevent.Timeout(HANG_S):
        request = Client(where, proxy=proxy_for(where.address)).invoke().request
    assert request.error_class == "connection"
    assert f"through proxy 127.0.0.1:{between.port}" in str(request.error_detail)
    assert "407 Proxy Authentication Required" in str(request.error_detail)


@pytest.mark.e2e
def test_a_run_says_that_a_proxy_lies_between(proxy: Callable[..., ConnectProxy], tmp_path: Path) -> None:
    between, certificates = proxy(), make_certificates(tmp_path)
    with truth_server(tmp_path, AnswerSchedule(ttft=0.02, gap=0.005, tokens=4), certificates) as (url, _):
        environment = {"AWS_CA_BUNDLE": str(certificates.authority), "NO_PROXY": "", "no_proxy": ""}
        environment["HTTPS_PROXY"] = f"http://127.0.0.1:{between.port}"
        run = Run(tmp_path, url, experiment(tmp_path), environment)
        assert run.play() == 0, run.log()
    assert {row["outcome"] for row in run.requests()} == {"ok"}
    assert len(between.heads) == 2, "one tunnel per user"
    assert f"latency includes the proxy 127.0.0.1:{between.port}" in run.steps()[0]["reasons"]
    assert "through the proxy" in run.log()


def test_no_proxy_and_plain_http_go_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for(RUNTIME) is None
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    found = proxy_for(RUNTIME)
    assert str(found) == "proxy.example:3128"
    assert proxy_for(Address("127.0.0.1", 80, tls=False)) is None
    monkeypatch.setenv("NO_PROXY", "localhost,.amazonaws.com")
    assert proxy_for(RUNTIME) is None


@pytest.mark.parametrize("url", ["https://u:secret@proxy:1", "socks5://proxy:1080", "http://proxy:x"])
def test_a_proxy_of_another_kind_is_refused_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(UserError, match="http://host:port") as sentence:
        proxy_for(RUNTIME)
    assert "secret" not in str(sentence.value)
