from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from mmssl.models.backbones.windowed_vit import WindowedViT
from mmssl.profiling.activation_memory import kept_bytes, peak_bytes

ARCH = dict(embed_dim=32, depth=2, num_heads=2)
BUILD = partial(WindowedViT, ARCH, window_size=4)
SHAPE = (1, 3, 128, 128)


@pytest.mark.parametrize('as_matrix', [False, True])
def test_what_is_kept_is_what_a_real_pass_keeps(as_matrix):
    model, kept = BUILD(relative_size=8, global_indices=(1,)), {}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    images = torch.randn(SHAPE)
    weights.add(images.untyped_storage().data_ptr())

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    backend = torch.nn.attention.SDPBackend.MATH if as_matrix else torch.nn.attention.SDPBackend.FLASH_ATTENTION
    with torch.nn.attention.sdpa_kernel(backend), torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        outputs = model(images)
    real = sum(tensor.untyped_storage().nbytes() for pointer, tensor in kept.items() if pointer not in weights)
    assert outputs[0].grad_fn is not None
    assert kept_bytes(partial(BUILD, relative_size=8, global_indices=(1,)), SHAPE, as_matrix) == real


def test_memory_of_windows_grows_with_the_image_and_that_of_a_matrix_with_its_square():
    small, large = (1, 3, 512, 512), (1, 3, 1024, 1024)
    windows, everywhere = BUILD, partial(BUILD, global_indices=(0, 1))

    def growth(build, as_matrix):
        return kept_bytes(build, large, as_matrix) / kept_bytes(build, small, as_matrix)

    assert growth(windows, True) < 4.1 and growth(windows, False) < 4.1
    assert growth(partial(everywhere, relative_size=64), False) < 8  # nor is there a matrix of relative positions
    assert growth(everywhere, True) > 10


def two_activations():
    return nn.Sequential(nn.Conv2d(3, 64, 1), nn.GELU(), nn.GELU())


def test_the_peak_of_a_real_pass_holds_what_is_kept():
    shape = (2, 3, 256, 256)
    assert kept_bytes(two_activations, shape) == 2 * 2 * 64 * 256 * 256 * 4  # the inputs of both
    assert peak_bytes(two_activations, shape) > kept_bytes(two_activations, shape)
