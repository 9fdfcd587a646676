"""Checkpoints of official codes, timm and torchvision in; the names of timm, torchvision, mmdet, mmseg and HF out."""

from mmssl.converters.detect import detect_source
from mmssl.converters.export import export
from mmssl.converters.names import convert, rename
from mmssl.converters.source import Source
from mmssl.converters.sources import SOURCES
from mmssl.converters.target import Target
from mmssl.converters.targets import TARGETS

__all__ = ['SOURCES', 'TARGETS', 'Source', 'Target', 'convert', 'detect_source', 'export', 'rename']
