"""The REST API: answers a POST by producing a request and awaiting the correlated result."""
