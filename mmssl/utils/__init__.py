"""Helpers without a subject of their own: errors, argument checks, imports and logged scalars."""
