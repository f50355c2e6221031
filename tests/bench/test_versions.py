"""Master and workers run the same code: what each says when the other does not."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench.distributed import worker_host
from bench.distributed.handshake import AnnouncedState, Hello
from bench.distributed.run_announcer import RunAnnouncer
from common.code_version import check_master_version, code_version
from common.errors import UserError
from common.paths import PROJECT
from tests.bench.harness import TOKEN, neighbouring_ports

OLD_HELLO = b'{"generators": 1, "nonce": "00", "proof": "11"}\n'
"""The hello of a worker that sends no version."""


def source_tree(root: Path, text: str) -> Path:
    (root / "locustfiles" / "worker").mkdir(parents=True)
    (root / "locustfiles" / "worker" / "user.py").write_text(text)
    return root


def test_a_changed_line_is_another_version(tmp_path: Path) -> None:
    one, same, other = (
        code_version(source_tree(tmp_path / str(number), text)) for number, text in enumerate("aab")
    )
    assert one == same != other
    assert one.split(" (")[0] == code_version().split(" (")[0]


@pytest.mark.parametrize("sent", [None, 7, "", "a\x1b[2Jb"])
def test_a_version_that_cannot_be_shown_is_an_older_one(sent: object) -> None:
    with pytest.raises(UserError, match="and the master an older version"):
        check_master_version(sent)


def test_the_version_is_under_the_proof() -> None:
    hello = Hello.of(1, TOKEN)
    assert hello.is_proved(TOKEN)
    changed = Hello.from_line(hello.line().replace(code_version().encode(), b"0.1.0"))
    assert changed is not None
    assert not changed.is_proved(TOKEN)


def test_a_worker_of_an_older_version_is_answered_in_a_form_that_it_refuses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = neighbouring_ports()
    with (
        RunAnnouncer("run", ("127.0.0.1", port), lambda: 0, token=TOKEN),
        socket.create_connection(("127.0.0.1", port)) as link,
    ):
        link.sendall(OLD_HELLO)
        answer = link.makefile("rb").readline()
    assert json.loads(answer) == {"refused": "version", "version": code_version()}
    assert "it runs an older version, and this master version" in capsys.readouterr().err


def test_a_refusal_names_both_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    line = b'{"refused": "version", "version": "9.9.9 (code 00000000)"}'
    with pytest.raises(UserError) as refused:
        AnnouncedState.from_line(line, TOKEN, "nonce")
    assert f"runs version {code_version()}, and the master version 9.9.9 (code 00000000)" in str(
        refused.value
    )


@pytest.mark.parametrize("closed", [1, 6])
def test_a_tunnel_without_a_master_is_tried_again_but_not_forever(
    closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tunnel accepts and closes; so does a master of an older version that does not understand."""
    connections = 0

    def connect(*_: object) -> socket.socket:
        nonlocal connections
        connections += 1
        here, there = socket.socketpair()
        if connections <= closed:
            there.close()
        else:
            threading.Thread(target=end_as_master, args=(there,)).start()
        return here

    monkeypatch.setattr(worker_host, "_connect", connect)
    monkeypatch.setattr(worker_host, "_reconnect", connect)
    monkeypatch.setattr(worker_host, "_RETRY_S", 0.0)
    if closed == 1:
        with pytest.raises(UserError, match="closed each without an answer"):
            worker_host.serve("127.0.0.1", 5557, TOKEN, reconnect_s=0.0)
        assert connections == 1
    else:
        assert worker_host.serve("127.0.0.1", 5557, TOKEN) == 0
        assert connections == closed + 1


def end_as_master(link: socket.socket) -> None:
    with link, link.makefile("rb") as said:
        hello = Hello.from_line(said.readline())
        assert hello is not None
        link.sendall(AnnouncedState("r", phase="over", code=0).line(TOKEN, hello.nonce))
        said.read()


_ASSIGNED = """
from locustfiles.worker.load_worker import Worker
Worker._prepare(object.__new__(Worker), {"version": "9.9.9 (code 00000000)"})
"""


@pytest.mark.e2e
def test_a_load_generator_takes_no_assignment_of_another_version() -> None:
    """In a process of its own: Locust patches sockets when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", _ASSIGNED], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert "UserError: this host runs version" in done.stderr
    assert "and the master version 9.9.9 (code 00000000)" in done.stderr
