"""The demo: pre-trains a small backbone and compares it with raw pixels and with its random initialisation."""
