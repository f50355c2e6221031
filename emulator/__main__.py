"""Serve SageMaker on this machine; one JSON line on stdout tells the URL. See the package's docstring."""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402 - everything else comes after the patching

from common.streams import survive_lost_streams  # noqa: E402
from emulator.serve import main  # noqa: E402

if __name__ == "__main__":
    survive_lost_streams()
    sys.exit(main(sys.argv[1:]))
