"""Clusters of features: arrays in, arrays out; nothing here knows models or training."""
