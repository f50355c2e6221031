"""A state folder of a test's own, with the prepared models of the checkout in it."""

from pathlib import Path

from common.paths import PROJECT


def make_state_folder(folder: Path) -> Path:
    """Make ``folder`` a state folder: an empty ledger, no prices, no calibration; the models are linked."""
    folder.mkdir(parents=True, exist_ok=True)
    models = PROJECT / ".cache" / "models"
    if models.is_dir() and not (folder / "models").exists():
        (folder / "models").symlink_to(models, target_is_directory=True)
    return folder
