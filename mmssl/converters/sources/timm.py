"""timm: residual networks, which have torchvision's names, and plain vision transformers."""

from mmssl.converters.source import BACKBONE, Source

SOURCE = Source(patterns=((r'(fc|head)\.\w+', None), (f'({BACKBONE})', r'backbone.\1')))
