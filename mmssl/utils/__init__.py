"""Helpers that several roles share."""
