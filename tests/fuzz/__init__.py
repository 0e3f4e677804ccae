"""Fuzzing: bytes that nobody would send, through everything that decodes what others sent."""
