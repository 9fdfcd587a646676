"""Clustering of features: arrays in, arrays out, independent of models and training."""
