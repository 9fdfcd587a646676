"""Figures: curves, views, neighbours and embeddings."""
