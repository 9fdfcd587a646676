"""One backbone and one loss; importing the package registers both."""

from mmssl_example.align_uniform_loss import AlignUniformLoss
from mmssl_example.conv_mixer import ConvMixer

__all__ = ['AlignUniformLoss', 'ConvMixer']
