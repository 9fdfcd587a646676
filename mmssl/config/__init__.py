"""Configs: options that change several places at once."""
