"""Endpoints from create to deleted, and the ledger that records each of them before the call."""
