"""Tests of deploy against the emulator. Shared helpers: `harness`, `command_line` and the two matrices."""
