"""``python -m locustfiles.run_locust``: Locust's own command line, which starts sooner."""

from common.gevent_patching import patch_all

patch_all()

from locust.main import main  # noqa: E402 - everything else comes after the patching

if __name__ == "__main__":
    main()  # type: ignore[no-untyped-call]  # Locust's
