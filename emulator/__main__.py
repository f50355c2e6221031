"""Serve SageMaker on this machine: ``python -m emulator``. See the package's docstring."""

from common.gevent_patching import patch_all

patch_all()

import sys  # noqa: E402 - everything else comes after the patching

from common.imports import without_collection  # noqa: E402
from common.streams import survive_lost_streams  # noqa: E402

with without_collection():
    from emulator.command_line import run_command
    from emulator.serve import serve

if __name__ == "__main__":
    survive_lost_streams()
    sys.exit(run_command(serve, "python -m emulator"))
