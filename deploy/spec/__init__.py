"""Turns a plan into what will be created: images, JumpStart models, API requests, tags, owners.

Makes read-only calls at most.
"""
