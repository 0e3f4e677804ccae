"""Webhooks: results → signed POSTs to addresses that users have registered. A downstream consumer like any other."""
