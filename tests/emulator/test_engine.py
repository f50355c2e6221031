"""The engine: length of a step, slots, queue, cache. Its greenlets run in a process of their own."""

import json
import subprocess
import sys

import pytest

from common.paths import PROJECT
from emulator.containers.engine import step_seconds
from emulator.containers.profile import GpuProfile

SCRIPT = """
import json
from emulator.containers.engine import Engine, Generation, QueueFullError
from emulator.containers.profile import GpuProfile

profile = GpuProfile(prefill_ms=2, prefill_tokens_per_s=10_000, decode_ms=10, decode_ms_per_stream=1, slots=4,
                  queue_limit=2, kv_tokens=1000)
engine = Engine(profile)
out = {}

generations = [Generation(10, 20) for _ in range(6)]
for generation in generations:
    engine.submit(generation)
try:
    engine.submit(Generation(1, 1))
    out["refused"] = False
except QueueFullError:
    out["refused"] = True
out["tokens"] = [[g.ready.get() for _ in range(20)] == list(range(1, 21)) for g in generations]
out["batch"] = [g.batch_at_admission for g in generations]
out["order"] = generations[4].admitted_at >= generations[0].admitted_at

big = [Generation(600, 3), Generation(600, 3)]
for generation in big:
    engine.submit(generation)
for generation in big:
    for _ in range(3):
        generation.ready.get()
out["kv"] = [g.batch_at_admission for g in big]

cancelled = Generation(10, 10_000)
engine.submit(cancelled)
cancelled.ready.get()
engine.cancel(cancelled)
after = Generation(10, 1)
engine.submit(after)
after.ready.get()
out["freed"] = cancelled not in engine._active
print(json.dumps(out))
"""


def test_the_length_of_a_step() -> None:
    profile = GpuProfile(prefill_ms=2, prefill_tokens_per_s=10_000, decode_ms=10, decode_ms_per_stream=1)
    assert step_seconds(profile, [0, 100], 0) == pytest.approx(0.014)  # twice 2 ms, and 100 tokens
    assert step_seconds(profile, [], 3) == pytest.approx(0.012)  # 10 ms, and 1 ms for each beyond the first
    assert step_seconds(profile, [0, 100], 3) == pytest.approx(0.026)


@pytest.mark.e2e
def test_slots_queue_and_cache() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=True
    )
    out = json.loads(done.stdout)
    assert out["refused"]
    assert all(out["tokens"])
    assert out["batch"][:4] == [1, 2, 3, 4]
    assert out["order"]
    assert out["kv"] == [1, 1], "two that do not fit the cache together run one after the other"
    assert out["freed"]
