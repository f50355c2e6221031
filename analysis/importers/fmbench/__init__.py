"""FMBench's result folders, and FMBench's method beside the true figures."""
