"""The names of the launchers; this module imports nothing slow, because every tool does."""

from __future__ import annotations

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
