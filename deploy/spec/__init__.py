"""From a plan to what will be created: images, JumpStart models, API requests, tags, owners.

Looks things up; creates nothing.
"""
