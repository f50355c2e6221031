"""Play load levels against the truth server with the real Locust, and join both sides request by request."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.calibration.certificates import Certificates, make_certificates
from bench.calibration.truth import AnswerSchedule, Stall
from common.errors import UserError
from configs.experiment import Experiment, Step
from configs.load import Load
from locustfiles.launch import locust_command, locust_environment
from runfolder import layout

REGION = "us-east-1"
_SERVER_START_S = 10.0


@dataclass(slots=True)
class LevelResult:
    """What one level of concurrency showed. Errors are measured minus true, in milliseconds."""

    streams: int
    tls: bool
    requests: int
    failed: int
    in_flight: float
    """Mean of the worker's reports in the window."""
    tokens_per_s: float
    ttft_error_p50_ms: float | None
    ttft_error_p99_ms: float | None
    tpot_error_p99_ms: float | None
    """99th percentile of the absolute error."""
    e2e_error_p50_ms: float | None
    e2e_error_p99_ms: float | None
    user_clock_ttft_error_p99_ms: float | None
    """The same requests, timed by the clock after the read."""
    cpu_us_per_token: float
    cpu_percent: float
    kernel_stamped: float
    """Share of requests whose times are the kernel's."""


@contextmanager
def truth_server(
    folder: Path, schedule: AnswerSchedule, certificates: Certificates | None, stall: Stall | None = None
) -> Iterator[tuple[str, Path]]:
    """Run the truth server for the length of the block. Yields its URL and its log file."""
    log = folder / "truth.csv"
    command = [sys.executable, "-m", "bench.calibration.truth", "--log", str(log)]
    command += ["--ttft", str(schedule.ttft), "--gap", str(schedule.gap), "--tokens", str(schedule.tokens)]
    command += ["--slots", str(schedule.slots)]
    if stall is not None:
        command += ["--stall-after", str(stall.after_s), "--stall", str(stall.seconds)]
    if certificates is not None:
        command += ["--tls-cert", str(certificates.certificate), "--tls-key", str(certificates.key)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, env=locust_environment(), text=True)
    try:
        line = server.stdout.readline() if server.stdout else ""
        if not line:
            raise UserError("the calibration server did not start", "its error is above")
        scheme = "http" if certificates is None else "https"
        yield f"{scheme}://127.0.0.1:{json.loads(line)['port']}", log
    finally:
        server.terminate()
        server.wait(_SERVER_START_S)


def client_environment(url: str, certificates: Certificates | None) -> dict[str, str]:
    """An environment whose AWS calls all go to ``url``, with credentials that open nothing."""
    kept = {name: value for name, value in locust_environment().items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIACALIBRATION",
        "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_CONFIG_FILE": os.devnull,
        "NO_PROXY": "*",  # a proxy cannot reach this machine's loopback
        "no_proxy": "*",
        **({"AWS_CA_BUNDLE": str(certificates.authority)} if certificates else {}),
    }


def play_levels(
    levels: Sequence[int], folder: Path, *, tls: bool, seconds: float, schedule: AnswerSchedule
) -> list[LevelResult]:
    """One Locust process, one step per level, each measured for ``seconds``, every answer streamed.

    Raises:
        UserError: the load generator or the server did not start.
    """
    truth = run_levels(levels, folder, tls=tls, seconds=seconds, schedule=schedule, stream=True)
    return read_levels(folder, truth, levels, tls=tls)


def run_levels(
    levels: Sequence[int], folder: Path, *, tls: bool, seconds: float, schedule: AnswerSchedule, stream: bool
) -> Path:
    """Play the levels; leaves a run folder in ``folder`` and returns the server's log.

    Raises:
        UserError: the load generator or the server did not start.
    """
    answer_s = schedule.ttft + schedule.gap * (schedule.tokens - 1)
    load = Load(
        concurrency=tuple(levels),
        warm_up=max(1.0, 1.2 * answer_s),
        measure=max(seconds, answer_s),
        spawn_rate=200,
    )
    return run_load(load, folder, tls=tls, schedule=schedule, stream=stream)


def run_load(
    load: Load,
    folder: Path,
    *,
    schedule: AnswerSchedule,
    tls: bool = False,
    stream: bool = True,
    processes: int | None = None,
    stall: Stall | None = None,
) -> Path:
    """Play a load; leaves a run folder in ``folder`` and returns the server's log.

    Raises:
        UserError: the load generator or the server did not start.
    """
    certificates = make_certificates(folder) if tls else None
    experiment = Experiment(
        name="calibration",
        run_id=folder.name,
        run_folder=folder,
        endpoint_name="truth",
        region=REGION,
        payload=calibration_payload(folder),
        stream=stream,
        request_schema="tgi",
        route="invocations",
        parameters={"max_new_tokens": schedule.tokens},
        unique_prefix=True,
        samples=False,
        steps=(
            *(Step(id=f"c{n}", concurrency=n) for n in load.concurrency or ()),
            *(Step(id=f"r{rate:g}", rate=rate) for rate in load.rate or ()),
        ),
        load=load,
    )
    file, log_file = folder / "experiment.json", folder / "locust.log"
    file.write_text(experiment.model_dump_json(), encoding="utf-8")
    with truth_server(folder, schedule, certificates, stall) as (url, truth), log_file.open("w") as log:
        code = subprocess.run(
            locust_command(file, folder / "locust", processes=processes),
            env=client_environment(url, certificates),
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if code not in (0, 3):
        last_line = log_file.read_text(encoding="utf-8").strip().splitlines()[-1:]
        raise UserError(f"the load of the calibration ended with code {code}: {' '.join(last_line)}")
    return truth


def calibration_payload(folder: Path) -> Path:
    """Write the prompts of a calibration to a file in ``folder``."""
    path = folder / "payload.jsonl"
    rows = [
        {"payload_id": f"p{n}", "prompt": "Tell me of the sea. " * 8, "prompt_tokens": 48} for n in range(8)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_levels(
    folder: Path, truth: Path, levels: Sequence[int], *, tls: bool, step: str = "c{}"
) -> list[LevelResult]:
    """Join a run's rows with the server's log and compute the errors of every level.

    Args:
        folder: of the run.
        truth: the server's log.
        levels: concurrencies.
        tls: whether they were played over TLS.
        step: id of a level's step, with its concurrency in braces.
    """
    rows = pd.read_csv(folder / layout.REQUESTS, low_memory=False)
    served = pd.read_csv(truth)
    workers = pd.read_csv(folder / layout.WORKERS)
    steps = pd.read_csv(folder / layout.STEPS)
    rows["number"] = pd.to_numeric(rows["finish_reason"].str[1:], errors="coerce")
    joined = rows.merge(served, on="number", how="left")
    windows = {
        step: (start, end)
        for step, start, end in zip(
            steps["step"], steps["measure_started_at"], steps["measure_ended_at"], strict=True
        )
    }
    return [_level(n, joined, workers, windows[step.format(n)], tls=tls) for n in levels]


def _level(
    n: int, joined: pd.DataFrame, workers: pd.DataFrame, window: tuple[float, float], *, tls: bool
) -> LevelResult:
    start, end = window
    begun = joined["started_at"].between(start, end, inclusive="left")
    ended_at = joined["started_at"] + joined["e2e_ms"] / 1000
    tokens_per_s = joined.loc[ended_at.between(start, end), "completion_tokens"].sum() / (end - start)
    measured = joined[begun]
    ok = measured[(measured["outcome"] == "ok") & measured["arrived_at"].notna()]
    reports = workers[workers["reported_at"].between(start + 1, end)]
    cpu = float(reports["cpu_percent"].mean()) if len(reports) else float("nan")
    ttft = ok["ttft_ms"] - (ok["first_sent_at"] - ok["arrived_at"]) * 1000
    tpot_truth = (ok["last_sent_at"] - ok["first_sent_at"]) * 1000 / (ok["tokens"] - 1)
    e2e = ok["e2e_ms"] - (ok["last_sent_at"] - ok["arrived_at"]) * 1000
    return LevelResult(
        streams=n,
        tls=tls,
        requests=len(ok),
        failed=int((measured["outcome"] != "ok").sum()),
        in_flight=float(reports["in_flight"].mean()) if len(reports) else float("nan"),
        tokens_per_s=float(tokens_per_s),
        ttft_error_p50_ms=_quantile(ttft, 0.5),
        ttft_error_p99_ms=_quantile(ttft, 0.99),
        tpot_error_p99_ms=_quantile((ok["tpot_ms"] - tpot_truth).abs(), 0.99),
        e2e_error_p50_ms=_quantile(e2e, 0.5),
        e2e_error_p99_ms=_quantile(e2e, 0.99),
        user_clock_ttft_error_p99_ms=_quantile(ttft + ok["clock_lag_ms"], 0.99),
        cpu_us_per_token=cpu / 100 / tokens_per_s * 1e6 if tokens_per_s else float("nan"),
        cpu_percent=cpu,
        kernel_stamped=float((ok["arrival_clock"] == "kernel").mean()) if len(ok) else 0.0,
    )


def _quantile(values: "pd.Series[float]", share: float) -> float | None:
    measured = values.dropna().to_numpy(dtype=float)
    return float(np.quantile(measured, share)) if len(measured) else None
