"""Mechanics every worker stands on; knows no service."""
