"""Components: parts of an algorithm beside backbone, neck and head, such as a teacher or a queue."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
