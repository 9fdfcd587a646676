"""mmssl: pre-train image backbones without labels and carry them into detection and segmentation."""

from mmssl.version import __version__

__all__ = ['__version__']
