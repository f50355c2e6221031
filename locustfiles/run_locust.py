"""``python -m locustfiles.run_locust``: Locust's own command line, which starts sooner."""

from common.gevent_patching import patch_all

patch_all()

from common.imports import without_collection  # noqa: E402 - everything else comes after the patching

with without_collection():
    from locust.main import main

    import locustfiles.master.coordinator
    import locustfiles.worker.user  # noqa: F401 - what the locustfile imports

if __name__ == "__main__":
    main()  # type: ignore[no-untyped-call]  # Locust's
