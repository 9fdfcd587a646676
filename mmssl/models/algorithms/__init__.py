"""Algorithms: views -> dict of losses; the order in which the parts are called, and the teacher."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
