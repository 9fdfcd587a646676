"""Figures of runs and models: curves, views, neighbours, attention, reconstructions, embeddings and predictions."""
