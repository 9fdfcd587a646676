"""Checkpoints of official implementations, timm and torchvision in; timm and torchvision names out."""

from mmssl.converters.detect import detect_source
from mmssl.converters.names import convert, export, rename
from mmssl.converters.source import Source
from mmssl.converters.sources import SOURCES

__all__ = ['SOURCES', 'Source', 'convert', 'detect_source', 'export', 'rename']
