"""Endpoints on Amazon SageMaker: checked, priced, created, waited for, and always deleted.

Uses plain botocore clients, so the same code works with AWS and with any server that implements its API.
The entry point is `lifecycle.endpoint.deployed`. From the top: `preflight`, `lifecycle`, `spec`, `aws`; each
imports only those after it. Used by `bench` only. Never imports Locust or gevent.
"""
