"""Traces in the published formats give the same arrivals, and a line that cannot be read is named."""

import base64
import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bench.commands import trace as trace_commands
from common.errors import UserError
from payloads.traces.describe import describe_trace
from payloads.traces.prefixes import repeated_tokens, shared_blocks
from payloads.traces.reading import read_trace
from payloads.traces.trace import Arrival, Trace, ordered

_USAGE = {"prompt_tokens": 374, "completion_tokens": 44}


def _capture(moment: str, data: str, encoding: str = "JSON") -> str:
    output = {"observedContentType": "application/json", "mode": "OUTPUT", "data": data, "encoding": encoding}
    record = {
        "captureData": {
            "endpointInput": {"mode": "INPUT", "data": "{}", "encoding": "JSON"},
            "endpointOutput": output,
        },
        "eventMetadata": {"eventId": "e", "inferenceId": "w0-1", "inferenceTime": moment},
        "eventVersion": "0",
    }
    return json.dumps(record) + "\n"


_STREAM = (
    f'data: {{"choices": []}}\n\ndata: {json.dumps({"choices": [], "usage": _USAGE})}\n\ndata: [DONE]\n\n'
)
_PUBLISHED: dict[str, tuple[str, str]] = {
    "plain": ("t.csv", "time,prompt_tokens,output_tokens\n10.5,374,44\n9.0,396,109\n"),
    "plain as JSON lines": (
        "t.jsonl",
        (
            '{"time": 10.5, "prompt_tokens": 374, "output_tokens": 44}\n\n'
            '{"time": 9, "prompt_tokens": 396, "output_tokens": 109}\n'
        ),
    ),
    "Azure 2023": (
        "t.csv",
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n"
            "2023-11-16 18:17:04.4803900,374,44\n2023-11-16 18:17:02.9803900,396,109\n"
        ),
    ),
    "Azure 2024": (
        "t.csv",
        (
            "\ufeffTIMESTAMP,ContextTokens,GeneratedTokens\r\n"
            "2024-05-10 00:00:01.509930+00:00,374,44\r\n2024-05-10 00:00:00.009930+00:00,396,109\r\n"
        ),
    ),
    "BurstGPT": (
        "t.csv",
        (
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
            "6.5,ChatGPT,374,44,418,Conversation log\n5,ChatGPT,396,109,505,Conversation log\n"
            "7,ChatGPT,20,0,20,API log\n"
        ),
    ),
    "Mooncake": (
        "t.jsonl",
        (
            '{"timestamp": 1500, "input_length": 374, "output_length": 44, "hash_ids": [46, 47]}\n'
            '{"timestamp": 0, "input_length": 396, "output_length": 109, "hash_ids": [46, 48]}\n'
        ),
    ),
    "Data Capture": (
        "t.jsonl",
        _capture("2026-11-01T10:00:01.5Z", json.dumps({"usage": _USAGE}))
        + _capture(
            "2026-11-01T10:00:00Z",
            base64.b64encode(
                json.dumps({"usage": {"prompt_tokens": 396, "completion_tokens": 109}}).encode()
            ).decode(),
            "BASE64",
        ),
    ),
    "Data Capture of streams": (
        "t.jsonl",
        _capture("2026-11-01T10:00:01.5Z", _STREAM)
        + _capture("2026-11-01T10:00:00Z", _STREAM.replace("374", "396").replace("44", "109")),
    ),
}


@pytest.mark.parametrize("form", _PUBLISHED)
def test_every_published_format_gives_the_same_arrivals(tmp_path: Path, form: str) -> None:
    name, content = _PUBLISHED[form]
    (tmp_path / name).write_text(content, encoding="utf-8")
    trace = read_trace(tmp_path / name)
    assert [(round(a.at_s, 6), a.prompt_tokens, a.output_tokens) for a in trace.arrivals] == [
        (0, 396, 109),
        (1.5, 374, 44),
    ]


def test_a_folder_of_captures_is_one_trace(tmp_path: Path) -> None:
    for hour in (10, 9):
        folder = tmp_path / f"AllTraffic/2026/11/01/{hour:02}"
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_text(_capture(f"2026-11-01T{hour:02}:00:00Z", "not JSON"))
    trace = read_trace(tmp_path)
    assert [(a.at_s, a.prompt_tokens) for a in trace.arrivals] == [(0, None), (3600, None)]


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("soon,1,2", "'soon' is not a time"),
        (",1,2", "'' is not a time"),
        ("nan,1,2", "'nan' is not a time"),
        ("-1,1,2", "'-1' is not a time"),
        ("1,many,2", "prompt_tokens is 'many', not a number of tokens"),
        ("1,1.5,2", "prompt_tokens is '1.5', not a number of tokens"),
        ("1,1", "as many fields as the header"),
        ("1,1,2,3", "as many fields as the header"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_or_left_out(tmp_path: Path, line: str, finding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"time,prompt_tokens,output_tokens\n0,1,2\n{line}\n5,1,2\n")
    with pytest.raises(UserError, match="line 3") as stopped:
        read_trace(path)
    assert finding in str(stopped.value)
    trace = read_trace(path, "skip")
    assert [a.at_s for a in trace.arrivals] == [0, 5]
    assert [(m.line, finding in m.finding) for m in trace.malformed] == [(3, True)]


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        ("", "no known format"),
        ("a,b\n1,2\n", "its first record has a, b"),
        ("time\n", "holds no request"),
        ('{"input": 3}\n', "its first record has input"),
        ("[1]\n", "its first line is not a record"),
    ],
)
def test_what_is_not_a_trace_is_one_sentence(tmp_path: Path, content: str, finding: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(UserError) as stopped:
        read_trace(tmp_path / "t.csv")
    assert finding in str(stopped.value)


def test_a_json_line_may_hold_any_line_separator_but_its_own(tmp_path: Path) -> None:
    record: dict[str, Any] = {"time": 1, "session": "a\u2028b"}
    (tmp_path / "t.jsonl").write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    (arrival,) = read_trace(tmp_path / "t.jsonl").arrivals
    assert arrival.session == "a\u2028b"


def test_the_command_says_what_a_replay_costs(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time,prompt_tokens\n0,10\n1,30\n1,x\n3600,20\n")
    command = trace_commands.COMMANDS["trace"]
    done = CliRunner().invoke(
        command, [str(tmp_path / "t.csv"), "--instance", "ml.g5.xlarge", "--speed", "2", "--skip-malformed"]
    )
    assert done.exit_code == 0
    assert "$0.704 for each ml.g5.xlarge at $1.4084 an hour" in done.output
    assert "1 line left out (t.csv line 4: prompt_tokens is 'x', not a number of tokens)" in done.output


def test_a_description_is_worked_by_hand() -> None:
    times = (0.0, 1.0, 1.5, 1.75, 5.0)
    trace = Trace("plain", tuple(Arrival(t, 10 * n, None, session=f"s{n % 2}") for n, t in enumerate(times)))
    facts = describe_trace(trace)
    assert (facts.arrivals, facts.duration_s, facts.mean_rate) == (5, 5.0, 0.8)
    assert facts.peak_rate_1s == 3  # from 1.0 up to 2.0
    assert facts.peak_rate_60s == 5 / 60
    gaps = (1.0, 0.5, 0.25, 3.25)
    deviation = math.sqrt(sum((gap - 1.25) ** 2 for gap in gaps) / 4)
    assert facts.cv == pytest.approx(deviation / 1.25)
    assert facts.prompt is not None
    assert (facts.prompt.mean, facts.prompt.most, facts.prompt.total) == (20, 40, 100)
    assert facts.output is None
    assert (facts.sessions, facts.turns_per_session) == (2, 2.5)
    assert sum(facts.rates) * 5 / len(facts.rates) == pytest.approx(5)


def test_a_prefix_is_shared_only_from_the_first_block_on() -> None:
    blocks = [("a", "b"), ("a", "b", "c"), ("x", "b")]
    facts = describe_trace(Trace("Mooncake", tuple(Arrival(0.0, prefix=chain) for chain in blocks)))
    assert facts.shared_prefix == 2 / 7


def test_the_shared_tokens_of_a_trace_are_those_of_its_blocks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "time,prompt_tokens,prefix_group,prefix_tokens\n0,900,a,300\n1,200,a,300\n2,900,b,\n3,1000,b,\n4,500,,\n"
    )
    trace = read_trace(tmp_path / "t.csv")
    assert repeated_tokens(trace.arrivals) == [0, 200, 0, 512, 0]
    assert shared_blocks(trace.arrivals) == [(1,), (1,), (2,), (2,), ()]
    assert describe_trace(trace).repeated_tokens == pytest.approx(712 / 3500)
    command = trace_commands.COMMANDS["trace"]
    shown = CliRunner().invoke(command, [str(tmp_path / "t.csv")]).output
    assert "50% of the prompts' blocks had been sent before, 20% of the prompt tokens" in " ".join(
        shown.split()
    )


def test_blocks_that_no_other_prompt_has_are_not_shared() -> None:
    chains = [("a", "b"), ("a", "b", "c"), ("x", "b"), ()]
    arrivals = [Arrival(0.0, prefix=chain) for chain in chains]
    assert shared_blocks(arrivals) == [(1, 2), (1, 2), (), ()]


@given(st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=50), st.floats(0.1, 10))
def test_speed_changes_times_and_nothing_else(times: list[float], speed: float) -> None:
    trace = Trace("plain", ordered([Arrival(t, prompt_tokens=n) for n, t in enumerate(times)]))
    fast = trace.faster(speed)
    assert trace.arrivals[0].at_s == 0
    assert fast.duration_s == pytest.approx(trace.duration_s / speed)
    assert [a.prompt_tokens for a in fast.arrivals] == [a.prompt_tokens for a in trace.arrivals]
    assert [a.at_s for a in trace.arrivals] == sorted(a.at_s for a in trace.arrivals)
