"""A local SageMaker for the session; every answer is held against botocore's models."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulator.process import LocalSageMaker

from .local_support import LMI, OPENAI, OPTIONS, TGI, Local


@pytest.fixture(scope="session")
def local() -> Iterator[Local]:
    """One local SageMaker for the whole session; a test cleans up what others would stumble over."""
    with LocalSageMaker(OPTIONS) as process:
        running = Local(process)
        running.post("/_local/quotas", {"ml.g5.xlarge": 100})
        yield running


@pytest.fixture(scope="session")
def tgi(local: Local) -> str:
    """A TGI endpoint that answers fast."""
    return local.endpoint(TGI)


@pytest.fixture(scope="session")
def lmi(local: Local) -> str:
    """An LMI endpoint that answers fast."""
    return local.endpoint(LMI)


@pytest.fixture(scope="session")
def openai(local: Local) -> str:
    """An OpenAI-speaking endpoint that answers fast."""
    return local.endpoint(OPENAI)


@pytest.fixture
def faults(local: Local) -> Iterator[Callable[..., None]]:
    """Set faults for one test."""

    def arm(*entries: dict[str, Any]) -> None:
        local.faults(list(entries))

    yield arm
    local.faults([])


@pytest.fixture
def settings(local: Local) -> Iterator[Callable[..., None]]:
    """Change settings for one test."""
    before = local.state()["settings"]
    yield local.settings
    local.settings(**before)
