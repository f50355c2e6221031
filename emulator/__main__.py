"""Serve SageMaker on this machine: ``python -m emulator``. See the package's docstring."""

from common.gevent_patching import patch_all

patch_all()

import sys  # noqa: E402 - everything else comes after the patching

from common.streams import survive_lost_streams  # noqa: E402
from emulator.command_line import run_command  # noqa: E402
from emulator.serve import serve  # noqa: E402

if __name__ == "__main__":
    survive_lost_streams()
    sys.exit(run_command(serve, "python -m emulator"))
