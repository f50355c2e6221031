"""Hosts that are hosts: namespaces with cables, so that a network can fail as networks do."""

import pytest

from tests.support.network import Network

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("namespaces")]


def test_a_host_is_reached_until_its_cable_is_pulled_and_again_once_it_is_back() -> None:
    with Network("one", "two") as network:
        one, two = network["one"], network["two"]
        assert one.reaches(two, within_s=20.0)
        two.cut()
        assert not one.reaches(two, within_s=0.0)
        two.mend()
        assert one.reaches(two, within_s=20.0)
