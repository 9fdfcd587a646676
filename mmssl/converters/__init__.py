"""Conversion of checkpoints: from official codes, timm and torchvision, and to the names of other libraries."""

from mmssl.converters.convert import convert, rename
from mmssl.converters.detect import detect_source
from mmssl.converters.files import convert_backbone, convert_file
from mmssl.converters.libraries import LIBRARIES
from mmssl.converters.library import Library
from mmssl.converters.source import Source
from mmssl.converters.sources import SOURCES

__all__ = [
    'LIBRARIES', 'SOURCES', 'Library', 'Source', 'convert', 'convert_backbone', 'convert_file', 'detect_source',
    'rename',
]  # fmt: skip
