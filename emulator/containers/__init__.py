"""Containers that stand in for images: each module is a process that speaks SageMaker's hosting contract.

``simulated`` plays a GPU in real time from a profile of few numbers; ``llama`` serves a real small model.
"""
