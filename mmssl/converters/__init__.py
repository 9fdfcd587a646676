"""Checkpoints of official implementations, timm and torchvision in; timm and torchvision names out."""

from mmssl.converters.names import SOURCES, convert, export, rename

__all__ = ['SOURCES', 'convert', 'export', 'rename']
