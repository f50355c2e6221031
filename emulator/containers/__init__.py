"""Containers that stand in for images: processes that implement SageMaker's hosting contract.

``simulated`` simulates a GPU in real time, from a profile of a few numbers. ``llama`` serves a small model.
"""
