"""Time and memory that a report takes, by the number of rows in requests.csv.

    python -m bench.benchmarks.report_scale [200000 2000000]

Each size is a synthetic run of five steps, reported in its own process; prints a Markdown table.
It needs a checkout: the synthetic run is a part of the tests.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.support.synthetic_run import Deployed, Server, write_run

SIZES = (50_000, 200_000, 500_000, 1_000_000, 2_000_000)
_QUICK = Server(ttft_ms=20, queue_ms_per_user=0.05, tpot_ms=2, tpot_ms_per_user=0.002)
_SLO = {"objectives": [{"metric": "ttft", "statistic": "p95", "limit_ms": 150.0}], "error_rate": 0.01}
_LEVELS = (16, 32, 64, 128, 256)


@click.command(help="Measure reports of runs of these SIZES, in rows of requests.csv.")
@click.argument("sizes", nargs=-1, type=click.IntRange(min=1))
@click.option("--folder", type=click.Path(path_type=Path, exists=True), hidden=True)
def main(sizes: tuple[int, ...], folder: Path | None) -> None:
    """Measure every size and print the table; with ``folder``, measure that one in this process."""
    if folder is not None:
        measure(folder)
        return
    print("| rows | requests.csv, MB | read, s | whole report, s | peak memory, MB |")
    print("|---:|---:|---:|---:|---:|")
    for size in sizes or SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            run = Path(scratch) / "run"
            rows = make(run, size)
            megabytes = (run / "requests.csv").stat().st_size / 1e6
            command = [sys.executable, "-m", "bench.benchmarks.report_scale", "--folder", str(run)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            read, whole, memory = done.stdout.split()
            print(f"| {rows:,} | {megabytes:.0f} | {read} | {whole} | {memory} |", flush=True)


def make(folder: Path, rows: int) -> int:
    """A run of about ``rows`` requests; returns how many it has."""
    typical_s = 0.2
    seconds = rows * typical_s / sum(_LEVELS)
    deployed = Deployed(server=_QUICK, concurrency=_LEVELS, warm_up_s=0.1 * seconds, measure_s=0.85 * seconds)
    write_run(folder, (deployed,), slo=_SLO)
    with (folder / "requests.csv").open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1


def measure(folder: Path) -> None:
    """Report on one folder; print seconds of reading, seconds of all, and peak memory in MB."""
    began = time.perf_counter()
    from analysis import make_report  # noqa: PLC0415 - imports are part of what is measured
    from runfolder.manifest import read_manifest  # noqa: PLC0415
    from runfolder.reading import read_run  # noqa: PLC0415

    start = time.perf_counter()
    read_run(folder, read_manifest(folder))
    read = time.perf_counter() - start
    make_report(folder)
    whole = time.perf_counter() - began - read
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{read:.1f} {whole:.1f} {peak:.0f}")


if __name__ == "__main__":
    main()
