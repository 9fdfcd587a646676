"""Processes: collectives with gradient, and how they are launched."""
