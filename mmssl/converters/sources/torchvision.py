"""torchvision: residual networks."""

from mmssl.converters.source import RESNET, Source

SOURCE = Source(patterns=((r'fc\.\w+', None), (f'({RESNET})', r'backbone.\1')))
