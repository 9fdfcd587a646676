"""mmssl: pre-train image backbones without labels and carry them into detection and segmentation."""

import sys

from mmssl.moved import MovedModules
from mmssl.version import __version__

sys.meta_path.append(MovedModules())  # behind Python's own finders

__all__ = ['__version__']
