"""Usage becomes entries and balances: the one place that knows what everybody owes."""
