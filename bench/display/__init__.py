"""How a run is shown beside the live page: a screen on a terminal, plain lines elsewhere, JSON for programs.

All of it is made of the same data as the live page: what the run knows, and what the load writes to
``status.json``. Only `bench` uses it.
"""
