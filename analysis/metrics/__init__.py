"""Pure numbers: metric definitions, statistics, cost, blocks of time. No I/O, no clock, no text."""
