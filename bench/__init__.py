"""Plays a plan from deploy to report, and holds the command line.

The only package that knows all others. `cli` is the entry point (``llm-bench``), `commands` has one module
per family of commands, `run` plays a plan, `checks` finds mistakes before anything starts, `locust_process`
runs Locust as a child, `terminal` shows the progress, `provenance` says where a run was made.
"""
