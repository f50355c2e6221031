"""What the results mean: trust, SLO, repetitions, recommendation, comparison, fleet size."""
