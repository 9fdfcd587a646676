"""Algorithms: views -> dict of losses; they call the parts and own the teacher."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
