"""Measurements of the project itself: scripts to run by hand. Their figures are in docs/."""
