"""Creates endpoints, waits for them and deletes them; records each in the ledger before its create call."""
