"""Runs on several hosts: the master announces the run's state, worker hosts follow it."""
