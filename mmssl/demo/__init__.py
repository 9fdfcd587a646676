"""The demo: pre-train a small backbone, compare it with raw pixels and with itself before, and show what changed."""
