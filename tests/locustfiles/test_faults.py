"""Every fault of a connection on a real socket: one row of the right class, and nothing hangs."""

import json
import socket
import threading
import time

import gevent
import pytest

from configs.load import Timeouts
from emulator.eventstream import encode_payload_part
from locustfiles.client.invocation import InvocationExit
from locustfiles.client.request_bodies import Body
from tests.locustfiles.support import (
    END,
    HANG_S,
    STREAM_HEAD,
    Client,
    chunk,
    failure,
    invoke,
    response,
    sends,
    serving,
    stream,
    target,
    tgi_events,
)


def test_a_good_answer_is_ok_with_the_servers_counts() -> None:
    request = invoke(sends(*stream()))[0].request
    assert (request.outcome, request.completion_tokens, request.prompt_tokens) == ("ok", 3, 4)
    assert request.completion_tokens_source == "server"
    assert request.finish_reason == "length"
    assert request.ttft_ms is not None
    assert request.e2e_ms is not None
    assert 0 < request.ttft_ms <= request.e2e_ms == request.elapsed_ms


def test_the_stamp_is_the_kernels_on_linux() -> None:
    assert invoke(sends(*stream()))[0].request.arrival_clock == "kernel"


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_any_split_of_the_bytes_gives_the_same_answer(size: int) -> None:
    whole = b"".join(stream(["Grüße", " 世界", "🙂"]))
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    outcome = invoke(sends(*pieces))[0]
    assert outcome.text == "Grüße 世界🙂"
    assert outcome.request.completion_tokens == 3


def test_64_tokens_in_one_part_are_one_chunk_and_no_rate_is_claimed() -> None:
    part = encode_payload_part(b"".join(tgi_events(["x"] * 64)))
    request = invoke(sends(STREAM_HEAD + chunk(part) + END))[0].request
    assert (request.completion_tokens, request.chunks, request.first_chunk_tokens) == (64, 1, 64)
    assert request.tpot_ms is None


def test_a_bad_checksum_is_a_protocol_fault() -> None:
    frame = bytearray(encode_payload_part(tgi_events(["a"])[0]))
    frame[40] ^= 0xFF
    assert failure(sends(STREAM_HEAD + chunk(bytes(frame)) + END))[0] == "protocol"


@pytest.mark.parametrize(
    ("pieces", "error_class"),
    [
        ([], "connection"),
        ([STREAM_HEAD[:30]], "connection"),
        ([STREAM_HEAD], "truncated"),
        ([STREAM_HEAD, stream()[1], stream()[2][:60]], "truncated"),
        (stream()[:-1], "truncated"),
    ],
    ids=["before headers", "mid-headers", "after headers", "mid-frame", "before the end"],
)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_cut_connection_is_named_by_how_far_it_came(
    pieces: list[bytes], error_class: str, how: str
) -> None:
    assert failure(sends(*pieces, **{how: True}))[0] == error_class


def test_a_stream_that_ends_in_order_but_without_its_end_mark_is_truncated() -> None:
    assert failure(sends(*stream()[:2], END))[0] == "truncated"


def test_a_stream_that_ends_inside_a_frame_is_truncated() -> None:
    assert (
        failure(sends(STREAM_HEAD, chunk(encode_payload_part(tgi_events(["a"])[0])[:50]), END))[0]
        == "truncated"
    )


def test_no_first_byte_is_a_client_timeout() -> None:
    limits = Timeouts(connect=1.0, first_byte=0.2, total=5.0)
    outcome = invoke(sends(), timeouts=limits)[0]
    assert outcome.request.error_class == "client_timeout"
    assert "first byte" in str(outcome.request.error_detail)


def test_a_long_answer_may_take_longer_than_the_limit_of_the_first_byte() -> None:
    def slow(sock: socket.socket) -> None:
        for piece in stream():
            sock.sendall(piece)
            time.sleep(0.1)

    limits = Timeouts(connect=1.0, first_byte=0.25, total=10.0)
    assert invoke(slow, timeouts=limits)[0].request.outcome == "ok"


def test_a_stall_after_the_first_token_is_a_client_timeout() -> None:
    limits = Timeouts(connect=1.0, first_byte=5.0, total=0.3)
    outcome = invoke(sends(*stream()[:2]), timeouts=limits)[0]
    assert outcome.request.error_class == "client_timeout"
    assert outcome.request.ttft_ms is not None  # how far it came is kept
    assert outcome.request.tpot_ms is None


def test_a_connection_that_does_not_open_is_a_connection_fault() -> None:
    # A full backlog: the kernel leaves further connection attempts unanswered.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)  # noqa: FBT003
            filler.connect_ex(("127.0.0.1", port))
        with gevent.Timeout(HANG_S):
            request = (
                Client(target(port), timeouts=Timeouts(connect=0.3, first_byte=1.0, total=2.0))
                .invoke()
                .request
            )
        for filler in fillers:
            filler.close()
    assert request.error_class == "connection"
    assert request.started_at > 0


def test_a_refused_connection_is_a_connection_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert Client(target(port)).invoke().request.error_class == "connection"


def test_whatever_goes_wrong_in_reading_the_request_gets_its_row_and_its_connection_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr("locustfiles.client.answer_parser.AnswerParser.feed", broken)
    with serving(sends(*stream())) as server, gevent.Timeout(HANG_S):
        client = Client(target(server.port))
        request = client.invoke().request
    assert (request.outcome, request.error_class) == ("failed", "protocol")
    assert "surprise" in str(request.error_detail)
    assert not client.connection.is_open


def test_an_answer_that_comes_before_the_body_is_there_counts_though_the_connection_breaks() -> None:
    large = Body("p1", 4, b"x" * 16_000_000, "0" * 64)
    refusal = response(413, b'{"message":"too large"}', {"x-amzn-ErrorType": "ValidationError"})
    with socket.create_server(("127.0.0.1", 0)) as listener, gevent.Timeout(HANG_S):

        def refuse() -> None:
            sock, _ = listener.accept()
            with sock:  # what is unread when it closes makes the kernel send a reset
                sock.recv(100)
                sock.sendall(refusal)

        server = threading.Thread(target=refuse)
        server.start()
        request = Client(target(listener.getsockname()[1])).invoke(large).request
        server.join()
    assert (request.outcome, request.error_class, request.http_status) == ("failed", "validation", 413)
    assert "too large" in str(request.error_detail)


def test_no_http_at_all_is_a_protocol_fault() -> None:
    assert failure(sends(b"SSH-2.0-OpenSSH_9.2\r\n"))[0] == "protocol"


def test_a_response_to_a_request_never_sent_spoils_no_other_row() -> None:
    doubled = sends(b"".join(stream(["one"])) + b"".join(stream(["stale"])))
    rows = invoke(doubled, sends(*stream(["two"])), times=3)
    assert [row.request.outcome for row in rows] == ["ok", "failed", "ok"]
    assert rows[1].request.error_class == "protocol"
    assert [row.text for row in rows] == ["one", "", "two"]


def test_a_kept_connection_closed_under_the_request_is_stale_and_not_the_servers_fault() -> None:
    with serving(sends(*stream()), sends(close=True), sends(*stream())) as server:
        client = Client(target(server.port))
        rows = [client.invoke().request for _ in range(3)]
    assert [row.error_class for row in rows] == [None, "stale_connection", None]
    assert rows[0].connect_ms is not None
    assert server.connections == 2


def test_a_connection_closed_between_requests_is_opened_anew_without_a_failure() -> None:
    with serving(sends(*stream(), close=True), sends(*stream())) as server:
        client = Client(target(server.port))
        first = client.invoke().request
        with gevent.Timeout(HANG_S):
            while client.connection.idle_state() == "quiet":
                gevent.sleep(0.01)
        second = client.invoke().request
    assert (first.outcome, second.outcome) == ("ok", "ok")
    assert second.connect_ms is not None


def test_a_kept_connection_is_used_again() -> None:
    with serving(sends(*stream())) as server:
        client = Client(target(server.port))
        rows = [client.invoke().request for _ in range(3)]
    assert server.connections == 1
    assert [row.connect_ms is None for row in rows] == [False, True, True]


def test_interim_responses_are_not_the_answer() -> None:
    pieces = [b"HTTP/1.1 100 Continue\r\n\r\n", *stream()]
    assert invoke(sends(*pieces))[0].request.outcome == "ok"


def test_an_aborted_request_is_censored_and_keeps_how_far_it_came() -> None:
    with serving(sends(*stream()[:2])) as server, gevent.Timeout(HANG_S):
        client = Client(target(server.port))
        running = gevent.spawn(client.invoke)
        while not client.lags:
            gevent.sleep(0.01)
        running.kill(InvocationExit, block=False)
        request = running.get().request
    assert request.outcome == "censored"
    assert request.error_class is None
    assert request.ttft_ms is not None
    assert request.e2e_ms is None
    assert (request.elapsed_ms or 0) > request.ttft_ms


def test_without_kernel_stamps_the_user_clock_is_used_and_every_row_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("locustfiles.client.kernel_timestamps.enable", lambda _sock: False)
    request = invoke(sends(*stream()))[0].request
    assert (request.outcome, request.arrival_clock) == ("ok", "user")


def test_a_non_streamed_answer_ends_with_its_last_byte() -> None:
    body = json.dumps(
        [{"generated_text": "hi", "details": {"finish_reason": "length", "generated_tokens": 2}}]
    )
    raw = response(200, body.encode())
    request = invoke(sends(raw[:-5], raw[-5:]), streamed=False)[0].request
    assert (request.outcome, request.completion_tokens, request.ttft_ms) == ("ok", 2, None)
    assert request.e2e_ms is not None
