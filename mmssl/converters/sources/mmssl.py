"""mmssl itself: training checkpoints, and backbone files, to whose names ``backbone.`` is added."""

from mmssl.converters.source import Source, Tensors


def _as_algorithm(tensors: Tensors) -> Tensors:
    if any(name.startswith('backbone.') for name in tensors):
        return tensors
    return {f'backbone.{name}': tensor for name, tensor in tensors.items()}


SOURCE = Source(patterns=((r'.+', r'\g<0>'),), prepare=_as_algorithm)
