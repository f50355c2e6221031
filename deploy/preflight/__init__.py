"""What is known before a run spends money: checks, prices, duration and cost."""
