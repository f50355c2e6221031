"""Other tools' results, measured with the same metrics: Locust's CSV files and FMBench's folders."""
