"""The side that leads a run: the step sequence, the workers' reports, the live status."""
