"""Searchable PDFs: the pages as they look, with an invisible layer of the words that were read on them.

A library and the command of a child process; knows no broker, no object store and no HTTP.
"""
