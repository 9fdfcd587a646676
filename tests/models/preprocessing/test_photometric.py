"""Photometric operations in a batch against torchvision's functions for one image, and against Pillow."""

import colorsys
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter, ImageOps
from skimage.data import astronaut
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import functional as pillow
from torchvision.transforms.v2 import functional as reference

from mmssl.datasets.transforms.augmented_view import AugmentedView
from mmssl.datasets.transforms.photometric_program import OPERATIONS
from mmssl.models.preprocessing import selfsup_data_preprocessor
from mmssl.models.preprocessing.photometric import FUNCTIONS, run_programs
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor

TOLERANCE = 2e-6  # on the scale 0-1: float32 rounding, in another order of summation
PHOTO = Image.fromarray(astronaut()[100:196, 150:270])


def images() -> Tensor:
    """Four images (40, 48) with what hue and solarize could stumble over: grey, black, white, ties of channels."""
    batch = torch.rand(4, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    batch[0, :, :5] = batch[0, :1, :5]
    batch[1] = (batch[1] * 8).round() / 8
    batch[2, :, :4], batch[2, :, 4:8] = 0, 1
    return batch


def blur(image: Tensor, sigma: float) -> Tensor:
    size = 2 * math.ceil(4 * sigma) + 1
    return reference.gaussian_blur(image, [size, size], [sigma, sigma])


def plain_contrast(image: Tensor, factor: float) -> Tensor:
    """TensorFlow's, channel by channel."""
    return torch.stack([(factor * (channel - channel.mean()) + channel.mean()).clamp(0, 1) for channel in image])


def plain_saturation(image: Tensor, factor: float) -> Tensor:
    """TensorFlow's, pixel by pixel through HSV."""
    pixels = image.double().permute(1, 2, 0).reshape(-1, 3).tolist()
    hsv = (colorsys.rgb_to_hsv(*pixel) for pixel in pixels)
    changed = [colorsys.hsv_to_rgb(h, min(max(s * factor, 0.0), 1.0), v) for h, s, v in hsv]
    return torch.tensor(changed).reshape(*image.shape[1:], 3).permute(2, 0, 1)


REFERENCES: dict[str, tuple[Callable, list[float]]] = dict(
    brightness=(reference.adjust_brightness, [0.0, 0.6, 1.0, 1.8]),
    contrast=(reference.adjust_contrast, [0.0, 0.6, 1.0, 1.8]),
    saturation=(reference.adjust_saturation, [0.0, 0.6, 1.0, 1.8]),
    hue=(reference.adjust_hue, [-0.5, -0.1, 0.2, 0.5]),
    grayscale=(lambda image, _: reference.rgb_to_grayscale(image, 3), [0.0] * 4),
    blur=(blur, [0.1, 0.7, 1.3, 2.0]),
    solarize=(reference.solarize, [0.0, 0.25, 128 / 255, 1.0]),
    brightness_offset=(lambda image, offset: (image + offset).clamp(0, 1), [-0.8, -0.1, 0.0, 0.4]),
    channel_contrast=(plain_contrast, [0.0, 0.6, 1.0, 1.8]),
    hsv_saturation=(plain_saturation, [0.0, 0.6, 1.8, 1.2]),
)


def test_every_operation_has_a_function_and_a_reference() -> None:
    assert set(FUNCTIONS) == set(REFERENCES) == set(OPERATIONS[1:])


@pytest.mark.parametrize('name', REFERENCES)
def test_equals_its_reference_image_by_image(name: str) -> None:
    function, values = REFERENCES[name]
    batch = images()
    expected = torch.stack([function(image, value) for image, value in zip(batch, values)])
    torch.testing.assert_close(FUNCTIONS[name](batch, torch.tensor(values)), expected, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(batch, images(), rtol=0, atol=0)  # untouched


PILLOW: dict[str, tuple[Callable, float]] = dict(
    brightness=(pillow.adjust_brightness, 1.3),
    contrast=(pillow.adjust_contrast, 0.7),
    saturation=(pillow.adjust_saturation, 1.4),
    hue=(pillow.adjust_hue, 0.1),
    grayscale=(lambda image, _: pillow.rgb_to_grayscale(image, 3), 0.0),
    blur=(lambda image, sigma: image.filter(ImageFilter.GaussianBlur(sigma)), 1.5),
    solarize=(lambda image, _: ImageOps.solarize(image, 128), 128 / 255),
)


@pytest.mark.parametrize('name', PILLOW)
def test_differs_from_pillow_by_its_rounding_to_eight_bits(name: str) -> None:
    function, value = PILLOW[name]
    ours = FUNCTIONS[name](pillow.to_tensor(PHOTO)[None], torch.tensor([value]))[0] * 255
    theirs = pillow.pil_to_tensor(function(PHOTO, value))
    # levels of 255: Pillow's hue has 256 steps, its blur is three box filters and repeats the edge, which is left out
    largest, mean = dict(hue=(5, 0.51), blur=(3, 0.51)).get(name, (1.01, 0.51))
    difference = (ours - theirs).abs()[:, 8:-8, 8:-8]
    assert difference.max() <= largest and difference.mean() <= mean


def test_blur_of_a_point_is_the_gaussian() -> None:
    point = torch.zeros(1, 3, 33, 41)
    point[:, :, 16, 20] = 1
    blurred = FUNCTIONS['blur'](point, torch.tensor([1.5]))[0, 0]
    y, x = torch.meshgrid(torch.arange(33) - 16, torch.arange(41) - 20, indexing='ij')
    density = torch.exp(-(x**2 + y**2) / (2 * 1.5**2)) / (2 * math.pi * 1.5**2)
    torch.testing.assert_close(blurred, density, rtol=0, atol=1e-5)
    assert blurred.sum().item() == pytest.approx(1, abs=1e-5)


def test_blur_keeps_a_flat_image_up_to_its_edges() -> None:
    flat = torch.full((2, 3, 9, 12), 0.3)
    torch.testing.assert_close(FUNCTIONS['blur'](flat, torch.tensor([0.4, 2.0])), flat)


def one_by_one(batch: Tensor, programs: Tensor) -> Tensor:
    """Every image through its program with torchvision's functions."""
    results = []
    for image, program in zip(batch, programs.tolist()):
        for code, value in program:
            if code:
                image = REFERENCES[OPERATIONS[int(code)]][0](image, value)
        results.append(image)
    return torch.stack(results)


def drawn_programs(num: int, seed: int = 0, **kwargs) -> Tensor:
    view = AugmentedView(8, **kwargs)
    rng = np.random.default_rng(seed)
    return torch.stack([view.draw_program(iter(rng.random(40).tolist()).__next__) for _ in range(num)])


@pytest.mark.parametrize(
    'view',
    [
        dict(jitter=(0.8, 0.8, 0.8, 0.2), grayscale=0.2, blur=0.5, solarize=0.2),
        dict(jitter=(0.4,) * 4, jitter_prob=1.0, grayscale=0.2, order=('grayscale', 'jitter')),
        dict(jitter=(0.4, 0.4, 0.2, 0.1), blur=1.0),
        dict(),
    ],
    ids=['everything', 'moco v1', 'byol', 'nothing'],
)
def test_programs_run_in_the_order_of_each_image(view: dict) -> None:
    programs = drawn_programs(24, **view)
    batch = images().repeat(6, 1, 1, 1)
    # solarize and the ramps of hue turn a rounding difference into a larger one at single samples
    result, expected = run_programs(batch.clone(), programs), one_by_one(batch, programs)
    wrong = (result - expected).abs() > 10 * TOLERANCE
    assert wrong.float().mean() < 1e-4


def test_an_image_does_not_depend_on_its_batch() -> None:
    programs = drawn_programs(16, jitter=(0.4,) * 4, grayscale=0.2, blur=0.5, solarize=0.2)
    batch = images().repeat(4, 1, 1, 1)
    together = run_programs(batch.clone(), programs)
    alone = [run_programs(batch[i : i + 1].clone(), programs[i : i + 1]) for i in range(16)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-6)


class Operators(TorchDispatchMode):
    """Counts the operators that torch dispatches, which on a GPU are about the kernels that are launched."""

    number = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.number += 1
        return function(*args, **(kwargs or {}))


_BYOL = dict(jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
SIMCLR = [(dict(jitter=(0.8, 0.8, 0.8, 0.2), colors='tensorflow', grayscale=0.2, blur=0.5), 16)] * 2
DINO = [(dict(_BYOL, blur=1.0), 16), (dict(_BYOL, blur=0.1, solarize=0.2), 16), *[(dict(_BYOL, blur=0.5), 8)] * 8]


@pytest.mark.parametrize(('views', 'most'), [(SIMCLR, 150), (DINO, 400)], ids=['SimCLR', 'DINO'])
def test_views_of_a_batch_take_few_operators(views: list[tuple[dict, int]], most: int, monkeypatch) -> None:
    monkeypatch.setattr(selfsup_data_preprocessor, '_CHUNK_PIXELS', 2**30)  # the whole batch at once, as on a GPU
    inputs = [torch.zeros(64, 3, size, size, dtype=torch.uint8) for _, size in views]
    data = dict(inputs=inputs, photometric=[drawn_programs(64, seed, **view) for seed, (view, _) in enumerate(views)])
    with Operators() as operators:
        SelfSupDataPreprocessor()(data)
    assert operators.number <= most


@pytest.mark.gpu
def test_gpu_equals_cpu_and_is_not_waited_for() -> None:
    programs = drawn_programs(32, jitter=(0.4,) * 4, grayscale=0.2, blur=0.5)
    batch = images().repeat(8, 1, 1, 1)
    on_gpu = batch.cuda()
    run_programs(on_gpu.clone(), programs)
    torch.cuda.set_sync_debug_mode('error')
    try:
        result = run_programs(on_gpu, programs)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    torch.testing.assert_close(result.cpu(), run_programs(batch, programs), rtol=0, atol=1e-5)
