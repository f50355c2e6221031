"""``python -m bench`` without the report's pictures: drawing them takes longer than a short run.

`tests.bench.test_line` uses the command as it is.
"""

import sys
from types import ModuleType

from bench.cli import main

if __name__ == "__main__":
    drawing = ModuleType("analysis.render.plots.draw_all")
    drawing.draw_all = lambda _result, _choices: {}  # type: ignore[attr-defined]
    sys.modules[drawing.__name__] = drawing
    main()
