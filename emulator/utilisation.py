"""CPU and memory of the containers' processes, sampled for the CloudWatch metrics."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import gevent
import psutil

from emulator.account import Region

SAMPLE_SECONDS = 5.0
SAMPLES_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    region: str
    endpoint: str
    variant: str
    cpu: float
    memory: float


@dataclass
class Utilisation:
    """Samples of all containers: CPU in percent of one core, memory in percent of the machine's."""

    _rows: deque[_Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES_KEPT))
    _processes: dict[int, psutil.Process] = field(default_factory=dict)

    def watch(self, regions: Mapping[str, Region]) -> None:
        """Sample forever; run it in a greenlet of its own."""
        while True:
            self.sample(regions)
            gevent.sleep(SAMPLE_SECONDS)

    def sample(self, regions: Mapping[str, Region]) -> None:
        """Sample every container once; the first call for a container only sets its starting point."""
        alive = set()
        for region in list(regions.values()):
            for name, variant, pid in _containers(region):
                alive.add(pid)
                self._sample(region.name, name, variant, pid)
        self._processes = {pid: p for pid, p in self._processes.items() if pid in alive}

    def samples(self, region: str, metric: str, dimensions: Mapping[str, str]) -> list[tuple[float, float]]:
        """Epoch seconds and values of CPUUtilization or MemoryUtilization for an endpoint's variant."""
        return [
            (row.at, row.cpu if metric == "CPUUtilization" else row.memory)
            for row in self._rows
            if row.region == region
            and dimensions.get("EndpointName", row.endpoint) == row.endpoint
            and dimensions.get("VariantName", row.variant) == row.variant
        ]

    def _sample(self, region: str, endpoint: str, variant: str, pid: int) -> None:
        try:
            process = self._processes.get(pid)
            if process is None:
                self._processes[pid] = process = psutil.Process(pid)
                process.cpu_percent()
                return
            row = _Sample(
                time.time(), region, endpoint, variant, process.cpu_percent(), process.memory_percent()
            )
        except psutil.Error:
            return  # the process has just ended
        self._rows.append(row)


def _containers(region: Region) -> Iterator[tuple[str, str, int]]:
    for endpoint in region.endpoints.values():
        for variant, group in endpoint.containers.items():
            yield from ((endpoint.name, variant, container.process.pid) for container in group)
    for component in region.components.values():
        for variant, group in component.containers.items():
            name = component.spec["EndpointName"]
            yield from ((name, variant, container.process.pid) for container in group)
