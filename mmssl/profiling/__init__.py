"""Profiling: the time and memory that a run costs."""
