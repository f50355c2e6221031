"""Continuous batching in real time: one timer per batch step, however many streams there are.

Each step admits the requests that fit (slots, KV cache), takes the time of their prefill and of one decode
step for the others, and gives every stream one token at its end. The clock does not drift: while there is
work, a step begins where the previous one ended.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import gevent
from gevent.event import Event
from gevent.queue import SimpleQueue

from emulator.containers.profile import GpuProfile


class QueueFullError(Exception):
    """As many requests are waiting as the profile allows."""


@dataclass(eq=False)
class Generation:
    """One request inside the engine. Times in epoch seconds; ``ready`` receives the number of each token."""

    prompt_tokens: int
    answer_tokens: int
    cached_tokens: int = 0
    """Of the prompt; they need no prefill."""
    queued_at: float = field(default_factory=time.time)
    admitted_at: float | None = None
    batch_at_admission: int | None = None
    emitted: int = 0
    cancelled: bool = False
    ready: "SimpleQueue[int]" = field(default_factory=SimpleQueue, repr=False)

    @property
    def kv_tokens(self) -> int:
        """Tokens that it occupies in the KV cache at its end."""
        return self.prompt_tokens + self.answer_tokens


def step_seconds(profile: GpuProfile, prompts: Sequence[int], decoding: int) -> float:
    """Seconds of a batch step that prefills ``prompts`` (tokens of each) and decodes ``decoding`` streams."""
    prefill = sum(profile.prefill_ms / 1000 + tokens / profile.prefill_tokens_per_s for tokens in prompts)
    if not decoding:
        return prefill
    return prefill + (profile.decode_ms + profile.decode_ms_per_stream * (decoding - 1)) / 1000


class Engine:
    """The batch and its queue. `submit` and `cancel` may be called from any greenlet."""

    def __init__(self, profile: GpuProfile) -> None:
        self._profile = profile
        self._waiting: deque[Generation] = deque()
        self._active: list[Generation] = []
        self._work = Event()
        self.steps = 0
        gevent.spawn(self._run)

    @property
    def load(self) -> tuple[int, int]:
        """Number of requests in the batch, and waiting."""
        return len(self._active), len(self._waiting)

    def submit(self, generation: Generation) -> None:
        """Queue a request.

        Raises:
            QueueFullError: as many requests are waiting as the profile allows.
        """
        if len(self._active) + len(self._waiting) >= self._profile.slots + self._profile.queue_limit:
            raise QueueFullError
        self._waiting.append(generation)
        self._work.set()

    def cancel(self, generation: Generation) -> None:
        """Remove a request; its slot is free from the next step."""
        generation.cancelled = True

    def _run(self) -> None:
        step_end = time.monotonic()
        while True:
            self._drop_cancelled()
            if not self._active and not self._waiting:
                self._work.clear()
                self._work.wait()
                step_end = time.monotonic()
            admitted = self._admit()
            prompts = [generation.prompt_tokens - generation.cached_tokens for generation in admitted]
            step_end += step_seconds(self._profile, prompts, len(self._active) - len(admitted))
            gevent.sleep(max(0.0, step_end - time.monotonic()))
            self._emit()
            self.steps += 1

    def _drop_cancelled(self) -> None:
        self._active = [g for g in self._active if not g.cancelled]
        self._waiting = deque(g for g in self._waiting if not g.cancelled)

    def _admit(self) -> list[Generation]:
        admitted = []
        used = sum(g.kv_tokens for g in self._active)
        while self._waiting and len(self._active) < self._profile.slots:
            fits = used + self._waiting[0].kv_tokens <= self._profile.kv_tokens
            if not fits and self._active:
                break
            generation = self._waiting.popleft()
            used += generation.kv_tokens
            self._active.append(generation)
            generation.admitted_at = time.time()
            generation.batch_at_admission = len(self._active)
            admitted.append(generation)
        return admitted

    def _emit(self) -> None:
        unfinished = []
        for generation in self._active:
            generation.emitted += 1
            generation.ready.put(generation.emitted)
            if generation.emitted < generation.answer_tokens and not generation.cancelled:
                unfinished.append(generation)
        self._active = unfinished
