"""A suite as FMBench runs it, and the files that its versions 1.x and 2.x write about it."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

NAME = "llama2-7b-g5.xlarge-tgi"
START = 1_790_000_000.0


@dataclass(frozen=True)
class Sent:
    """One request: seconds, client's token counts; without an answer it took as long as its burst."""

    latency: float
    prompt_tokens: int = 1000
    completion_tokens: int = 50
    ok: bool = True
    completion: str = "some text"
    prompt: str = "p"


@dataclass(frozen=True)
class Round:
    """One burst: ``overhead`` is what FMBench's client adds to the slowest request."""

    requests: Sequence[Sent]
    payload: str = "payload_en_500-1000.jsonl"
    experiment: str = NAME
    overhead: float = 0.0
    pause: float = 0.5
    endpoint: str = "an-endpoint"
    max_new_tokens: int | None = 100

    @property
    def seconds(self) -> float:
        """The wall time of the burst."""
        return max(r.latency for r in self.requests) + self.overhead


@dataclass
class FmbenchSuite:
    """Bursts in the order in which they ran."""

    rounds: list[Round]
    version: int = 1
    columns: dict[str, str] = field(default_factory=dict)

    def records(self) -> Iterator[tuple[float, dict[str, Any], list[tuple[float, dict[str, Any]]]]]:
        """Each burst's record with its time, and its requests' records with theirs."""
        clock = START
        for burst in self.rounds:
            clock += burst.pause + burst.seconds
            requests = [self._request(burst, sent) for sent in burst.requests]
            yield (
                clock,
                self._chunk(burst, requests),
                [(clock + 0.001 * (i + 1), record) for i, record in enumerate(requests)],
            )
            clock += 0.001 * len(requests)

    def write_json(self, folder: Path) -> Path:
        """One file per burst and per request."""
        for kind in ("per_chunk", "per_inference"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        for time, chunk, requests in self.records():
            (folder / "per_chunk" / f"{time:.6f}.json").write_text(json.dumps(chunk))
            for at, record in requests:
                (folder / "per_inference" / f"{at:.6f}.json").write_text(json.dumps(record))
        return folder

    def write_csv(self, folder: Path, *, requests: bool = True) -> Path:
        """all_metrics.csv and, beside it, per_inference_request_results.csv."""
        folder.mkdir(parents=True, exist_ok=True)
        written = list(self.records())
        extra = {"instance_type": "ml.g5.xlarge", **self.columns}
        _write(folder / "all_metrics.csv", [chunk | extra for _, chunk, _ in written])
        if requests:
            rows = [record | extra for _, _, sent in written for _, record in sent]
            _write(folder / "per_inference_request_results.csv", rows)
        return folder

    def _request(self, burst: Round, sent: Sent) -> dict[str, Any]:
        counted = sent.ok or self.version == 1
        record: dict[str, Any] = {
            "endpoint_name": burst.endpoint,
            "prompt": sent.prompt,
            "completion": sent.completion if sent.ok else None,
            "prompt_tokens": sent.prompt_tokens if counted else None,
            "completion_tokens": sent.completion_tokens if sent.ok else None,
            "latency": sent.latency if sent.ok else None,
            "experiment_name": burst.experiment,
            "concurrency": len(burst.requests),
        }
        if burst.max_new_tokens is not None:
            record["max_new_tokens"] = burst.max_new_tokens
        return record | ({"payload_file": burst.payload} if self.version == 2 else {})

    def _chunk(self, burst: Round, requests: list[dict[str, Any]]) -> dict[str, Any]:
        good = [r for r in requests if r["completion"] is not None]
        prompt = sum(r["prompt_tokens"] or 0 for r in requests)
        completion = sum(r["completion_tokens"] or 0 for r in requests)
        rate = round(len(good) / burst.seconds, 2)
        chunk = {
            "experiment_name": burst.experiment,
            "concurrency": len(requests),
            "payload_file": burst.payload,
            "errors": [r for r in requests if r["completion"] is None],
            "successes": len(good),
            "error_rate": 1 - len(good) / len(requests),
            "all_prompts_token_count": prompt,
            "prompt_token_throughput": round(prompt / burst.seconds, 2),
            "all_completions_token_count": completion,
            "completion_token_throughput": round(completion / burst.seconds, 2),
            "transactions": len(requests),
            "transactions_per_second": rate,
            "transactions_per_minute": int(60 * rate),
        }
        latencies = [r["latency"] for r in good]
        if self.version == 1:
            return chunk | {"latency_mean": sum(latencies) / len(good) if good else None}
        percentiles = np.percentile(latencies, [50, 95, 99]).tolist() if good else [None] * 3
        names = ("latency_p50", "latency_p95", "latency_p99")
        return chunk | dict(zip(names, percentiles, strict=True))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
