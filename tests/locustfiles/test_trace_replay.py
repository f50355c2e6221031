"""Traces are replayed as they are: every request at its time, as fast as asked, with its lengths."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.payload import PayloadRow, read_payload
from locustfiles.client.invocation_url import resolve_target
from locustfiles.client.request_bodies import Body, BodyFactory
from locustfiles.master.arrival_schedule import ArrivalSchedule, trace_arrivals
from locustfiles.message_seal import MessageSeal
from locustfiles.messages import Arrival, make_assignment
from locustfiles.worker.workload import Workload
from runfolder.replayed_trace import TraceRow, read_bodies, read_trace_rows, write_bodies, write_trace
from tests.locustfiles.fake import Play
from tests.locustfiles.runs import Run, experiment, rows_of

ROWS = [TraceRow(0.0, 50, 5), TraceRow(0.4, 80, 9, "s1"), TraceRow(4.0, None, None), TraceRow(10.0, 100, 7)]


def bodies(unique_prefix: bool = False, schema: str = "openai") -> BodyFactory:  # noqa: FBT001, FBT002 - a test
    rows = [PayloadRow(f"p{n}", f"prompt {n}", tokens) for n, tokens in enumerate((40, 60, 60, 90))]
    return BodyFactory(
        rows,
        schema=schema,  # type: ignore[arg-type]
        route="invocations",
        stream=True,
        parameters={"temperature": 0, "max_tokens": 100},
        unique_prefix=unique_prefix,
    )


def sized(factory: BodyFactory, number: int, prompt_tokens: int, output_tokens: int) -> Body:
    return factory.sized_body("s", number, prompt_tokens=prompt_tokens, output_tokens=output_tokens)


def test_a_trace_is_kept_with_the_run_and_read_again(tmp_path: Path) -> None:
    write_trace(tmp_path, ROWS)
    assert read_trace_rows(tmp_path) == ROWS


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_a_request_arrives_when_it_did_at_the_speed(speed: float) -> None:
    schedule = ArrivalSchedule()
    start = schedule.begin(trace_arrivals(ROWS, speed), now=1000.0)
    taken = [a for now in range(1000, 1012) for a in schedule.take(float(now), {"c": "w"})["c"]]
    assert [arrival.at - start for arrival in taken] == pytest.approx([row.at_s / speed for row in ROWS])
    assert [arrival.number for arrival in taken] == [1, 2, 3, 4]
    assert [(a.prompt_tokens, a.output_tokens) for a in taken] == [
        (row.prompt_tokens, row.output_tokens) for row in ROWS
    ]


@pytest.mark.parametrize(
    ("wanted", "ids"), [(1, {"p0"}), (49, {"p0"}), (58, {"p1", "p2"}), (74, {"p1", "p2"}), (500, {"p3"})]
)
def test_the_prompt_of_the_nearest_length_is_sent(wanted: int, ids: set[str]) -> None:
    factory = bodies()
    sent = {sized(factory, number, wanted, 5).payload_id for number in range(1, 5)}
    assert sent == ids


def test_an_answer_is_asked_for_in_its_own_length() -> None:
    for unique in (False, True):
        body = json.loads(sized(bodies(unique), 1, 60, 7).data)
        assert (body["max_tokens"], body["temperature"]) == (7, 0)
    tgi = json.loads(sized(bodies(schema="tgi"), 1, 60, 7).data)
    assert tgi["parameters"]["max_new_tokens"] == 7
    assert "max_tokens" not in tgi["parameters"]


def test_the_same_arrival_has_the_same_body_on_every_worker() -> None:
    one, other = (sized(bodies(unique_prefix=True), 3, 60, 7) for _ in range(2))
    assert one == other


def test_every_speed_is_a_step_of_the_length_that_the_warm_up_leaves(tmp_path: Path) -> None:
    rows = [TraceRow(second / 2, 50, 5) for second in range(121)]  # a minute, two a second
    write_trace(tmp_path, rows)
    play = Play(tmp_path, None, warm_up=5.0, trace={"file": "t.csv", "speed": (1.0, 2.0)})
    assert play() == 0
    assert [step["state"] for step in play.steps()] == ["complete", "complete"]
    assert [float(step["rate"]) for step in play.steps()] == [2.0, 4.0]
    assert [float(step["speed"]) for step in play.steps()] == [1.0, 2.0]
    windows = [float(s["measure_ended_at"]) - float(s["measure_started_at"]) for s in play.steps()]
    assert windows == pytest.approx([55.0, 25.0], abs=0.2)
    assert [int(step["arrivals"]) for step in play.steps()] == [121, 121]


@pytest.mark.e2e
def test_a_trace_is_replayed_to_a_server(truth: Callable[..., Run]) -> None:
    run = truth(concurrency=None, load={"warm_up": 0.5, "trace": {"file": "t.csv", "speed": [2.0]}})
    write_trace(run.folder, [TraceRow(number / 20, 50, 5) for number in range(201)])  # ten seconds
    assert run.play() == 0, run.log()
    run.check_counts()
    rows = sorted(run.requests(), key=lambda row: int(row["arrival"]))
    arrived = [float(row["started_at"]) - float(row["schedule_delay_ms"]) / 1000 for row in rows]
    assert [at - arrived[0] for at in arrived] == pytest.approx([n / 40 for n in range(201)], abs=2e-3)
    assert [row["outcome"] for row in rows] == ["ok"] * 201
    assert float(rows_of(run.folder / "steps.csv")[0]["rate"]) == pytest.approx(40.0)


def test_captured_bodies_are_sent_as_they_were_and_leave_no_file(tmp_path: Path) -> None:
    captured = [json.dumps({"inputs": f"captured {n}", "stream": True}).encode() for n in range(4)]
    write_bodies(path := tmp_path / "bodies", captured)
    schedule = ArrivalSchedule()
    schedule.begin(trace_arrivals(ROWS, 10.0, read_bodies(path)), now=0.0)
    arrivals = schedule.take(0.0, {"c": "w"})["c"]
    assert [arrival.body for arrival in arrivals] == captured
    played = experiment(tmp_path)
    rows = read_payload(played.payload)
    sealed = MessageSeal("token").wrap("arrivals", {"arrivals": [tuple(arrival) for arrival in arrivals]})
    received = MessageSeal("token").unwrap("arrivals", sealed)["arrivals"]
    arrivals = [Arrival(*arrival) for arrival in received]
    work = Workload(make_assignment(played, resolve_target(played), rows), "w0")
    bodies = [work.arrival_body(arrival) for arrival in arrivals]
    assert [body.data for body in bodies] == captured
    assert [body.sha256 for body in bodies] == [hashlib.sha256(data).hexdigest() for data in captured]
    assert work.shown(bodies[2]) == captured[2].decode()
