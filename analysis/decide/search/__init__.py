"""The search for the highest load under the SLO: a pure method, from what was measured to the next move.

`method.next_move` is the whole interface: the probes so far in, what to do next out. It knows neither a clock
nor a file, so the live search, the report and the simulation (`python -m bench.benchmarks.search`) share it.
"""
