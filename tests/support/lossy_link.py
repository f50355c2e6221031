"""A link with delay and loss, for kernels without netem: two TAP devices, and a process between them.

Run in the namespace of the switch; the device of the host is then moved to the host's namespace. The process
ends with its standard input.

    python lossy_link.py SWITCH_DEVICE HOST_DEVICE DELAY_S LOSS SEED
"""

import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import sys
import time

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_MAX_FRAME = 65_536


def tap(name: str) -> int:
    """A new TAP device with this name; what is written to the descriptor arrives at it, and vice versa."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def carry(one: int, other: int, *, delay_s: float, loss: float, chance: random.Random) -> None:
    """Carry frames both ways, each ``delay_s`` late or, with the probability ``loss``, not at all."""
    across = {one: other, other: one}
    order = itertools.count()
    late: list[tuple[float, int, int, bytes]] = []
    poll = select.poll()
    for descriptor in (one, other, sys.stdin.fileno()):
        poll.register(descriptor, select.POLLIN)
    while True:
        wait_ms = None if not late else max(0.0, late[0][0] - time.monotonic()) * 1000
        for descriptor, _ in poll.poll(wait_ms):
            if descriptor not in across:
                return
            try:
                frame = os.read(descriptor, _MAX_FRAME)
            except OSError:  # the device is down
                time.sleep(0.001)
                continue
            if chance.random() >= loss:
                due = time.monotonic() + delay_s
                heapq.heappush(late, (due, next(order), across[descriptor], frame))
        while late and late[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(late)
            try:
                os.write(to, frame)
            except OSError:  # its device is down, or its queue is full
                continue


def main(switch: str, host: str, delay_s: str, loss: str, seed: str) -> None:
    """Make the devices and carry frames until standard input ends."""
    one, other = tap(switch), tap(host)
    print("ready", flush=True)
    chance = random.Random(int(seed))  # noqa: S311 - the same packets are lost every time
    carry(one, other, delay_s=float(delay_s), loss=float(loss), chance=chance)


if __name__ == "__main__":
    main(*sys.argv[1:])
