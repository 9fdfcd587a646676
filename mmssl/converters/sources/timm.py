"""timm: residual networks, which have torchvision's names, and plain vision transformers."""

from mmssl.converters.source import BACKBONE, SCALED_VIT, Source

SOURCE = Source(patterns=((r'(fc|head)\.\w+', None), (f'({BACKBONE}|{SCALED_VIT})', r'backbone.\1')))
