"""What can be known before a dollar is spent: checks, prices, duration and cost."""
