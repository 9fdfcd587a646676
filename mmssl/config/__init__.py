"""Configs: options of the command line, values, and what the keys mean."""
