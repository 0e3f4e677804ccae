"""Notifications of the object store become requests; a reconciler finds the objects whose notification was lost."""
