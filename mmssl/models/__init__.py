"""Everything that a method is assembled from: importing this package registers all of it."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
