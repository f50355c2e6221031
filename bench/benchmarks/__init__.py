"""Measurements of the project itself: scripts to run by hand, whose figures stand in docs/."""
