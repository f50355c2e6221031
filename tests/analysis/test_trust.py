"""The trust gate: each check bites when it must and is silent when it need not be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.decide.trust import COUNT_CHECKS, COUNT_CODES, check_run, check_step
from analysis.decide.trust_stationary import check_stationary
from analysis.measure.distribution import Distribution
from analysis.measure.results import StepResult
from analysis.measure.step_parts import Counts, Errors, Health, InFlight, Provenance, Throughput
from analysis.metrics.definitions import Window
from analysis.metrics.time_blocks import BlockSums
from analysis.report import measure_and_judge
from bench.benchmarks.coverage import Load
from bench.benchmarks.coverage import step as measured_step
from runfolder.manifest import read_manifest
from tests.analysis.runs import summary_of
from tests.support.synthetic_run import Deployed, Server, write_run

BLOCK = np.repeat(np.arange(50), 4)
IN_FLIGHT = InFlight(mean=4.0, little_residual=0.0)
PROVENANCE = Provenance(token_sources={"server": 200}, clocks={"kernel": 200})


def step(**changes: object) -> StepResult:
    """A sound step: 4 users, 200 answers of one second in 50 s."""
    sound = StepResult(
        id="e/c4",
        experiment="e",
        ordinal=0,
        concurrency=4,
        state="complete",
        reported_counts={"started": 260.0, "locust_requests": 260.0},
        window=Window(0, 50),
        window_counts=Counts(ok=200),
        step_counts=Counts(ok=260),
        latency={"e2e": described(1000.0), "ttft": described(200.0)},
        throughput=Throughput(completions=200, per_minute=240.0),
        errors=Errors(rate=0.0),
        in_flight=IN_FLIGHT,
        provenance=PROVENANCE,
        blocks=blocks(np.ones(40)),
    )
    return replace(sound, **changes)  # type: ignore[arg-type]


def described(milliseconds: float) -> Distribution:
    distribution = Distribution.of(np.full(200, milliseconds), BLOCK, 50)
    assert distribution is not None
    return distribution


def blocks(latency: np.ndarray, rate: np.ndarray | None = None) -> BlockSums:
    """Blocks of five requests each with the given mean latency in seconds, plus a little noise."""
    count = len(latency)
    noise = 1 + 0.01 * np.sin(np.arange(count) * 2.3)
    requests = np.full(count, 5.0) if rate is None else rate
    latencies = 1000 * latency * noise * requests
    return BlockSums(requests * noise, requests, np.zeros(count), latencies, requests)


def level_and_reasons(**changes: object) -> tuple[str, str]:
    judged = step(**changes)
    check_step(judged)
    return judged.trust.level, "; ".join(judged.trust.texts)


def test_a_sound_step_passes_without_a_word() -> None:
    assert level_and_reasons() == ("pass", "")


@pytest.mark.parametrize(
    ("changes", "level", "reason"),
    [
        ({"state": "interrupted", "reasons": "Ctrl-C"}, "void", "interrupted: Ctrl-C"),
        ({"state": "running"}, "void", "not finished"),
        ({"state": "degraded", "reasons": "worker w2 lost"}, "warn", "worker w2 lost"),
        ({"window": None}, "void", "window is not on record"),
        ({"window_counts": Counts()}, "void", "no request that started in the window was answered"),
        ({"window_counts": Counts(ok=9)}, "void", "too few for a median"),
        ({"window_counts": Counts(ok=99)}, "warn", "99 samples: too few for a p95"),
        ({"reported_counts": {"started": 261.0}}, "warn", "261 requests started, but 260 were"),
        ({"reported_counts": {"started": 300.0}}, "void", "300 requests started"),
        ({"reported_counts": {"locust_requests": 259.0}}, "warn", "Locust counted 259"),
        ({"window_counts": Counts(ok=200, censored=1)}, "warn", "1 request (0.50%) was cut off"),
        ({"window_counts": Counts(ok=200, censored=40)}, "void", "were cut off"),
        (
            {"window_counts": Counts(ok=200, failed=3), "errors": Errors(0.0, {"throttled": 3})},
            "warn",
            "3 requests failed (0%): throttled",
        ),
        (
            {"window_counts": Counts(ok=200, failed=3), "errors": Errors(0.0, {"throttled": 2, "quota": 1})},
            "warn",
            "most of them throttled (2)",
        ),
        ({"health": Health(cpu_max=91)}, "warn", "91.0% busy"),
        ({"health": Health(master_cpu=84)}, "pass", ""),
        ({"health": Health(master_cpu=96)}, "warn", "the master's core was 96.0% busy: steps may"),
        ({"health": Health(master_cpu=96), "rate": 9.0}, "warn", "arrivals may have been handed out late"),
        (
            {"health": Health(cpu_max=99), "provenance": replace(PROVENANCE, clocks={"user": 200})},
            "void",
            "99.0% busy",
        ),
        (
            {"health": Health(lag_p99_ms=30), "provenance": replace(PROVENANCE, clocks={"user": 200})},
            "warn",
            "inside the latency",
        ),
        ({"health": Health(lag_p99_ms=30)}, "warn", "latency stands"),
        (
            {"in_flight": replace(IN_FLIGHT, little_residual=0.5), "throughput": Throughput(200, 360.0)},
            "void",
            "4 clients at 1.00 s cannot do 360 requests a minute",
        ),
        (
            {"in_flight": replace(IN_FLIGHT, mean=3.6)},
            "warn",
            "3.60 requests were in flight on average, not 4",
        ),
        ({"in_flight": replace(IN_FLIGHT, mean=2.0)}, "void", "the load did not reach its target"),
        (
            {
                "in_flight": replace(IN_FLIGHT, mean=None),
                "window_counts": Counts(ok=200, failed=3),
                "errors": Errors(0.0, {"throttled": 3}),
            },
            "warn",
            "how many requests were in flight is not known",
        ),
        (
            {"provenance": replace(PROVENANCE, token_sources={"server": 150, "estimate": 50})},
            "warn",
            "25% of the token counts are estimates",
        ),
        ({"provenance": replace(PROVENANCE, token_sources={"unknown": 200})}, "warn", "have no token count"),
        (
            {"provenance": replace(PROVENANCE, more_chunks_than_tokens=2)},
            "warn",
            "2 answers with more chunks than tokens",
        ),
        ({"blocks": blocks(np.r_[np.full(20, 1.0), np.full(20, 1.3)])}, "warn", "not stationary"),
        ({"blocks": blocks(np.linspace(1.0, 1.4, 40))}, "warn", "not stationary"),
        ({"blocks": blocks(np.r_[np.full(10, 1.6), np.full(30, 1.0)])}, "warn", "warm-up still drifting"),
        (
            {"blocks": blocks(np.ones(40), np.r_[np.full(20, 6.0), np.full(20, 4.0)])},
            "warn",
            "throughput changed",
        ),
    ],
)
def test_each_check_bites(changes: dict[str, object], level: str, reason: str) -> None:
    found, reasons = level_and_reasons(**changes)
    assert reason in reasons
    assert found == level


@pytest.mark.parametrize(
    "changes",
    [
        {"health": Health(cpu_max=60, lag_p99_ms=3)},
        {"in_flight": replace(IN_FLIGHT, little_residual=0.01)},
        {"in_flight": replace(IN_FLIGHT, mean=3.9)},
        {"blocks": blocks(np.r_[np.full(20, 1.0), np.full(20, 1.04)])},
        {"reported_counts": {}},
    ],
)
def test_what_is_within_bounds_raises_no_alarm(changes: dict[str, object]) -> None:
    assert level_and_reasons(**changes)[0] == "pass"


def test_time_outs_within_the_slo_do_not_void_a_step(tmp_path: Path) -> None:
    """Users that wait for a time-out are busy: the load did reach its target."""
    server = Server(failing=0.015, time_out_s=20)
    write_run(tmp_path, (Deployed(server=server, measure_s=240, concurrency=(8,)),))
    (step,) = measure_and_judge(tmp_path).steps
    assert step.window_counts.failed > 3
    assert step.in_flight.mean == pytest.approx(8, rel=0.01)
    assert not any("in flight" in reason for reason in step.trust.texts)
    path = tmp_path / "requests.csv"
    path.write_text(path.read_text().replace("elapsed_ms", "unknown_to_an_older_version", 1))
    result = measure_and_judge(tmp_path)
    assert result.steps[0].in_flight.mean is None
    assert result.steps[0].usable
    assert not any("elapsed_ms" in problem for problem in result.problems)


@pytest.mark.parametrize("key", ["max_accurate_concurrency", "honest_concurrency"], ids=["", "before 0.2"])
def test_more_streams_than_the_calibration_allows_warn(run_folder: Path, key: str) -> None:
    result = measure_and_judge(run_folder)
    result.calibration = {key: {"HTTP": 6, "TLS": None}}
    check_run(result)
    warned = {s.concurrency for s in result.steps if "calibrated limit" in "; ".join(s.trust.texts)}
    assert warned == {8}


def test_a_steady_load_rings_no_drift_alarm() -> None:
    """Of fifty steady steps of one user hardly one may ring: what is certain is as rare as three sigma."""
    rng = np.random.default_rng(8)
    load = Load(users=1, latency_s=0.5, window_s=60, memory_s=0.0)
    reasons = []
    for _ in range(50):
        steady = measured_step(load, load.window_s, rng)
        check_stationary(steady)
        reasons += steady.trust.texts
    assert len(reasons) <= 1, reasons


def test_every_reason_travels_as_a_code_with_its_figures(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(server=Server(failing=0.2), measure_s=60, concurrency=(4,)),))
    trust = summary_of(measure_and_judge(tmp_path))["experiments"][0]["steps"][0]["trust"]
    (failed,) = (reason for reason in trust["reasons"] if reason["code"] == "failed_requests")
    assert trust["level"] == failed["level"] == "warn"
    assert failed["values"]["classes"] == {"model_5xx": failed["values"]["failed"]}
    assert 0.05 < failed["values"]["share"] < 0.4
    assert failed["text"].startswith(f"{failed['values']['failed']} requests failed (")


def test_the_codes_of_the_counts_are_those_that_their_checks_give() -> None:
    """What repetitions judge again on their sums must not be taken over from each of them."""
    judged = step(
        window_counts=Counts(ok=60, failed=3),
        provenance=Provenance(token_sources={"estimate": 1, "unknown": 1}, more_chunks_than_tokens=1),
    )
    for check in COUNT_CHECKS:
        check(judged)
    assert set(judged.trust.codes) == COUNT_CODES


def test_compare_and_report_judge_a_folder_alike(tmp_path: Path) -> None:
    """Locust's own statistics enter the trust check whoever asks for it."""
    write_run(tmp_path, (Deployed(measure_s=60, concurrency=(4,)),))
    step = measure_and_judge(tmp_path).steps[0]
    rows = step.step_counts.ended
    (tmp_path / "locust_stats.csv").write_text(
        "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time\n"
        f"POST,{step.id},{rows - 1},0,1000,1000\n"
    )
    result = measure_and_judge(tmp_path)
    reported = summary_of(result)["experiments"][0]["steps"][0]["trust"]
    compared = result.steps[0].trust
    assert "locust_csv_differs" in compared.codes
    assert [reason["code"] for reason in reported["reasons"]] == compared.codes
    assert reported["level"] == compared.level == "warn"


def test_a_step_that_steps_csv_has_lost_is_void_and_its_rows_are_its_own(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=60, concurrency=(1, 4)),))
    path = tmp_path / "steps.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    result = measure_and_judge(tmp_path)
    lost = result.steps[-1]
    assert (lost.id, lost.concurrency) == ("ml.g5.xlarge/en_1-500/c4", 4)
    assert lost.trust.level == "void"
    assert lost.trust.codes == ["step_lost"]
    assert lost.step_counts.ok > 0
    assert not any("belong to no step" in problem for problem in result.problems)


def test_an_experiment_that_was_never_loaded_has_its_steps_as_not_played(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=60, concurrency=(1, 4)),))
    manifest = read_manifest(tmp_path)
    manifest.experiments.append(
        manifest.experiments[0].model_copy(update={"name": "b/x", "steps": ["b/x/c1", "b/x/c4"]})
    )
    manifest.save(tmp_path)
    steps = measure_and_judge(tmp_path).experiments[1].steps
    assert [(step.concurrency, step.trust.codes) for step in steps] == [
        (1, ["not_played"]),
        (4, ["not_played"]),
    ]


def test_an_interrupt_is_named_once() -> None:
    interrupted = step(state="interrupted", reasons="interrupted")
    check_step(interrupted)
    assert interrupted.trust.texts[0] == "the step was interrupted"
