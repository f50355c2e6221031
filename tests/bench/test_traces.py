"""Traces in S3, with botocore's own client in front of stubbed answers."""

import io
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from bench import traces
from bench.traces import bodies_file, load_trace, read_replayed_trace
from common.errors import UserError
from configs.plan import Plan
from runfolder.replayed_trace import read_bodies

ANSWER = json.dumps({"usage": {"prompt_tokens": 7}})
RECORD = {
    "captureData": {"endpointOutput": {"data": ANSWER, "encoding": "JSON"}},
    "eventMetadata": {"inferenceTime": "2026-11-28T10:00:00Z", "inferenceId": "a-w0-1"},
}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    session = botocore.session.get_session()
    client = session.create_client(
        "s3", "us-east-1", aws_access_key_id="unused", aws_secret_access_key="unused"
    )

    class Only:
        @staticmethod
        def from_environment(_region: str | None) -> "type[Only]":
            return Only

        @staticmethod
        def client(_service: str) -> Any:
            return client

    monkeypatch.setattr(traces, "Clients", Only)
    stubber = Stubber(client)
    stubber.activate()
    return stubber


def give(s3: Stubber, objects: dict[str, str], read: list[str]) -> None:
    contents = [{"Key": key, "Size": len(text)} for key, text in objects.items()]
    s3.add_response("list_objects_v2", {"Contents": contents}, {"Bucket": "b", "Prefix": "captures/"})
    for key in read:
        data = objects[key].encode()
        s3.add_response(
            "get_object", {"Body": StreamingBody(io.BytesIO(data), len(data))}, {"Bucket": "b", "Key": key}
        )


def test_captured_records_are_read_from_s3_and_leave_nothing_behind(
    s3: Stubber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    later = RECORD | {"eventMetadata": {"inferenceTime": "2026-11-28T11:00:05Z"}}
    objects = {
        "captures/2026/11/28/10/x.jsonl": json.dumps(RECORD) + "\n",
        "captures/2026/11/28/11/x.jsonl": json.dumps(later) + "\n",
        "captures/manifest.txt": "no trace",
    }
    give(s3, objects, ["captures/2026/11/28/10/x.jsonl", "captures/2026/11/28/11/x.jsonl"])
    trace = load_trace("s3://b/captures/", "stop")
    assert trace.format == "SageMaker Data Capture"
    assert [arrival.at_s for arrival in trace.arrivals] == [0.0, 3605.0]
    s3.assert_no_pending_responses()
    assert list(tmp_path.iterdir()) == []


def test_a_malformed_line_is_named_by_its_place_in_s3(s3: Stubber) -> None:
    give(s3, {"captures/a.jsonl": json.dumps(RECORD) + "\n{\n"}, ["captures/a.jsonl"])
    with pytest.raises(UserError, match=r"^s3://b/captures/a\.jsonl: line 2: it is not JSON"):
        load_trace("s3://b/captures/", "stop")


def test_a_bucket_that_may_not_be_read_is_one_sentence(s3: Stubber) -> None:
    s3.add_client_error("list_objects_v2", "AccessDenied", "Access Denied", 403)
    with pytest.raises(UserError, match="s3://b/captures/"):
        load_trace("s3://b/captures/", "stop")


@pytest.mark.parametrize("key", ["captures/../../../etc/x.jsonl", "captures/./x.jsonl"])
def test_no_key_is_written_outside_the_folder(s3: Stubber, key: str) -> None:
    give(s3, {key: json.dumps(RECORD) + "\n"}, [key])
    assert len(load_trace("s3://b/captures/", "stop").arrivals) == 1


def test_a_uri_with_nothing_to_read_is_refused(s3: Stubber) -> None:
    give(s3, {"captures/x.txt": "a"}, [])
    with pytest.raises(UserError, match=r"holds no \.csv, \.jsonl, \.json file"):
        load_trace("s3://b/captures/", "stop")


def replaying(file: Path) -> Plan:
    return Plan.model_validate(
        {
            "name": "replay",
            "model": {"source": "endpoint"},
            "endpoint": {"name": "mine"},
            "workload": {"payload": "en"},
            "load": {"trace": {"file": str(file), "bodies": True}, "warm_up": 1},
        }
    )


def captured(second: int, body: bytes | None) -> str:
    given = (
        {} if body is None else {"endpointInput": {"data": b64encode(body).decode(), "encoding": "BASE64"}}
    )
    moment = {"inferenceTime": f"2026-11-28T10:00:{second:02}Z"}
    return json.dumps({"captureData": given, "eventMetadata": moment}) + "\n"


def test_captured_bodies_are_replayed_from_a_file_that_is_gone_afterwards(tmp_path: Path) -> None:
    bodies = [b'{"inputs": "one"}', "{'inputs': '\u00fc'}".encode(), b"\x00\x01\n"]
    (tmp_path / "t.jsonl").write_text("".join(captured(n * 10, body) for n, body in enumerate(bodies)))
    trace = read_replayed_trace(replaying(tmp_path / "t.jsonl"))
    assert trace.bodies == bodies
    with bodies_file(trace.bodies) as path:
        assert path is not None
        assert list(read_bodies(path)) == bodies
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.exists()
    assert "inputs" not in "".join(str(row) for row in trace.rows)


def test_a_trace_without_bodies_cannot_replay_them(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(captured(0, b"{}") + captured(20, None))
    with pytest.raises(UserError, match=r"1 request of .* without a body"):
        read_replayed_trace(replaying(tmp_path / "t.jsonl"))
