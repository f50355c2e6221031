"""From the run folder's tables to typed results of steps and experiments."""
