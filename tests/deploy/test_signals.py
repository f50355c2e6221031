"""Signals end a run in order: once, never inside a shield, never lost."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.lifecycle.signals import (
    Abandoned,
    Interrupted,
    abandonable,
    interruptible,
    orderly_exit,
    pending,
    shielded,
)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_interrupts_with_the_shells_exit_code(number: int) -> None:
    with pytest.raises(Interrupted) as caught, orderly_exit():
        send(number)
    assert caught.value.exit_code == 128 + number


def test_the_second_signal_does_not_disturb_the_clean_up() -> None:
    cleaned = []

    def run() -> None:
        with orderly_exit():
            try:
                send(signal.SIGINT)
            finally:
                send(signal.SIGINT)
                send(signal.SIGTERM)
                cleaned.append("all of it")

    with pytest.raises(Interrupted):
        run()
    assert cleaned == ["all of it"]


def test_a_shield_holds_the_signal_back_until_its_end() -> None:
    done = []

    def run() -> None:
        with orderly_exit():
            with shielded():
                send(signal.SIGTERM)
                done.append("the call")
            done.append("the next call")

    with pytest.raises(Interrupted):
        run()
    assert done == ["the call"]


def test_a_gap_in_the_shield_lets_it_through_at_once() -> None:
    done = []

    def run() -> None:
        with orderly_exit(), shielded():
            send(signal.SIGTERM)
            done.append("held")
            with interruptible():
                done.append("never here")

    with pytest.raises(Interrupted):
        run()
    assert done == ["held"]


def test_an_error_inside_a_shield_is_not_replaced_by_the_signal() -> None:
    def run() -> None:
        with orderly_exit(), shielded():
            send(signal.SIGTERM)
            raise ValueError("the failure")

    with pytest.raises(ValueError, match="the failure"):
        run()


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with orderly_exit():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_are_left_alone() -> None:
    outcome = []

    def elsewhere() -> None:
        with orderly_exit(), shielded():
            outcome.append("ran")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert outcome == ["ran"]


@contextmanager
def deletion() -> Iterator[None]:
    with orderly_exit(), shielded(), abandonable(lambda: "deleting bench-x; `make teardown`"):
        yield


def test_a_signal_amid_a_deletion_explains_and_a_double_tap_changes_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    done = []

    def run() -> None:
        with deletion():
            for _ in range(3):
                send(signal.SIGINT)
            done.append("deleted")

    with pytest.raises(Interrupted) as caught:
        run()
    assert not isinstance(caught.value, Abandoned)
    assert done == ["deleted"]
    assert capfd.readouterr().err == "SIGINT: deleting bench-x; `make teardown`\n"


def test_whoever_insists_after_reading_is_let_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.lifecycle.signals._READING_S", 0.0)
    held: list[Interrupted | None] = []

    def run() -> None:
        with deletion():
            send(signal.SIGINT)
            held.append(pending())
            send(signal.SIGTERM)

    with pytest.raises(Abandoned) as caught:
        run()
    assert caught.value.exit_code == 143
    assert [stop.exit_code for stop in held if stop] == [130]


@pytest.mark.parametrize("moment", ["held back", "inside"])
def test_the_signal_that_ended_the_run_counts_for_nothing_in_the_deletion(
    moment: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.lifecycle.signals._READING_S", 0.0)

    def run() -> None:
        with orderly_exit(), shielded():
            try:
                if moment == "held back":
                    send(signal.SIGINT)
                with interruptible():
                    send(signal.SIGINT)
            finally:
                with abandonable(lambda: "explained"):
                    send(signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        run()
    assert not isinstance(caught.value, Abandoned)
    assert capfd.readouterr().err == "SIGINT: explained\n"
