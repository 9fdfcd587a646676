"""Checkpoints of official implementations, timm and torchvision in; timm and torchvision names out."""
