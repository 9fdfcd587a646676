"""Configs: loading, options of the command line, and checks of keys and values."""
