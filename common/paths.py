"""The folders for data that outlives a run: the ledger, prices, the calibration, models."""

import os
from pathlib import Path

HOME_VARIABLE = "LLM_BENCH_HOME"
"""The environment variable that names another state folder."""

_OLD_LEDGER_VARIABLE = "BENCH_LEDGER"

PROJECT = Path(__file__).resolve().parents[1]
"""The folder that holds the packages, whatever the current directory is."""


def state_folder() -> Path:
    """The state folder: ``$LLM_BENCH_HOME``, else ``.cache`` beside the packages.

    It does not depend on the current directory: the ledger of billed resources must be the same from every
    folder.
    """
    override = os.environ.get(HOME_VARIABLE)
    return Path(override).expanduser().absolute() if override else PROJECT / ".cache"


def ledger_folder() -> Path:
    """The ledger of the resources on AWS."""
    return state_folder() / "ledger"


def local_ledger_folder() -> Path:
    """The ledger of the resources on the local SageMaker, which end with it."""
    return state_folder() / "local-ledger"


def old_ledger_folders() -> list[Path]:
    """Where versions before 0.2 kept the ledger: under the current directory, or as ``BENCH_LEDGER`` said.

    They are still read, so that no resource of an older version is forgotten.
    """
    named = os.environ.get(_OLD_LEDGER_VARIABLE)
    candidates = dict.fromkeys(Path(name).absolute() for name in (named, ".cache/ledger") if name)
    return [folder for folder in candidates if folder != ledger_folder() and folder.is_dir()]


def price_cache() -> Path:
    """Prices from the AWS Price List API, with the time of the request."""
    return state_folder() / "prices.json"


def calibration_file() -> Path:
    """The results of `calibrate` on this machine."""
    return state_folder() / "calibration.json"


def models_folder() -> Path:
    """Model files of the local SageMaker."""
    return state_folder() / "models"
