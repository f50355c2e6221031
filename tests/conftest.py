"""No test reads or writes the user's own ledger, prices or calibration."""

import os
from collections.abc import Iterator

import pytest

from common.paths import HOME_VARIABLE
from tests.support.state import make_state_folder


@pytest.fixture(autouse=True, scope="session")
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(make_state_folder(tmp_path_factory.mktemp("state")))
    yield
    if before is None:
        del os.environ[HOME_VARIABLE]
    else:
        os.environ[HOME_VARIABLE] = before
