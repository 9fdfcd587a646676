"""Components: what an algorithm owns besides its slots, such as a teacher or a queue."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
