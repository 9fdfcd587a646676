"""Distributed processes: collectives with gradient, and launching."""
