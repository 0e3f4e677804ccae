"""Our engines beside their peers, on the same pages. `make bench-recognition` calls it."""
