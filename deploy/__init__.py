"""Endpoints on Amazon SageMaker: planned, priced, created, awaited, watched, and always deleted.

Uses plain botocore clients, so the same code serves an AWS account and any server that speaks its API.
`lifecycle.endpoint.deployed` is the entry point. From the top: `preflight`, `lifecycle`, `spec`, `aws`; each
imports only those after it. Used by `bench` only. Never imports Locust or gevent.
"""
