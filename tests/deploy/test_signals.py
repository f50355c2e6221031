"""Signals end a run in order: once, never inside a shield, never lost."""

import os
import signal
import threading

import pytest

from deploy.signals import Interrupted, interruptible, orderly_exit, shielded


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
