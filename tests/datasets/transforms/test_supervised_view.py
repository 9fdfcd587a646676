"""SupervisedView: RandAugment and erasing, drawn from the image's own generator alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import rand_augment_transform

from mmssl.datasets.transforms.augmented_view import AugmentedView
from mmssl.datasets.transforms.supervised_view import SupervisedView

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
RAND_AUGMENT = 'rand-m9-mstd0.5-inc1'


def draw(seed: int, image: np.ndarray = IMAGE, **options) -> torch.Tensor:
    return SupervisedView(32, **options)(image, np.random.default_rng(seed))[0]


def test_crop_and_flip_alone_are_those_of_the_other_view() -> None:
    for seed in range(5):
        view, program = SupervisedView(32)(IMAGE, np.random.default_rng(seed))
        expected, none = AugmentedView(32, interpolation='bicubic')(IMAGE, np.random.default_rng(seed))
        assert torch.equal(view, expected) and torch.equal(program, none)


def test_the_generator_decides_and_the_global_ones_are_left_alone() -> None:
    options = dict(rand_augment=RAND_AUGMENT, erase=0.5)
    views = []
    for disturbance in (1, 2):
        random.seed(disturbance)
        np.random.seed(disturbance)  # noqa: NPY002
        before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        views.append([draw(seed, **options) for seed in range(20)])
        assert before == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    assert all(torch.equal(first, second) for first, second in zip(*views))
    assert len({view.numpy().tobytes() for view in views[0]}) == 20


@pytest.mark.parametrize('description', ['rand-m9', 'rand-m9-inc1'])
@pytest.mark.parametrize('magnitude', [0, 10])
def test_every_operation_draws_at_both_ends_of_its_range(description: str, magnitude: int) -> None:
    view = SupervisedView(32, rand_augment=description)
    image = Image.fromarray(IMAGE[:32, :32])
    names = set()
    for operation in view.rand_augment.ops:
        operation.prob, operation.magnitude = 1.0, magnitude
        drawn = operation(image)
        assert drawn.size == image.size and drawn.mode == 'RGB', operation.name
        names.add(operation.name)
    assert len(names) >= 15


def test_jitter_moves_brightness_contrast_and_saturation_within_their_range() -> None:
    grey = np.full((50, 60, 3), 100, np.uint8)  # contrast and saturation do not change it
    levels = [draw(seed, grey, color_jitter=0.4).unique().tolist() for seed in range(200)]
    assert all(len(level) == 1 for level in levels)
    lowest, highest = min(levels)[0], max(levels)[0]
    assert 59 <= lowest < 65 and 135 < highest <= 140
    spread = [draw(seed, color_jitter=0.4).float().std() / draw(seed).float().std() for seed in range(50)]
    assert min(spread) < 0.8 and max(spread) > 1.1
    black_and_white = [draw(seed, np.tile(IMAGE[..., :1], 3), color_jitter=1.0) for seed in range(20)]
    assert all((view[0].int() - view[1].int()).abs().max() <= 1 for view in black_and_white)


def test_colours_are_changed_once() -> None:
    with pytest.raises(ValueError, match='not both'):
        SupervisedView(32, rand_augment=RAND_AUGMENT, color_jitter=0.4)


def test_an_image_of_no_bits_is_black() -> None:
    for description, magnitude in (('rand-m9-inc1', 10), ('rand-m9', 0)):
        (operation,) = (
            operation
            for operation in SupervisedView(32, rand_augment=description).rand_augment.ops
            if operation.name.startswith('Posterize')
        )
        operation.prob, operation.magnitude = 1.0, magnitude
        assert not np.array(operation(Image.fromarray(IMAGE))).any()
        operation.magnitude = 5  # two bits of eight
        np.testing.assert_array_equal(np.array(operation(Image.fromarray(IMAGE))), IMAGE & 0b11000000)


def test_rand_augment_is_timms_with_timms_settings() -> None:
    view = SupervisedView(32, rand_augment=RAND_AUGMENT)
    crop = AugmentedView(32, interpolation='bicubic')
    theirs = rand_augment_transform(
        RAND_AUGMENT, dict(translate_const=14, img_mean=(124, 116, 104), interpolation=Image.Resampling.BICUBIC)
    )
    changed = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        plain = crop(IMAGE, rng)[0].permute(1, 2, 0).contiguous().numpy()
        words = np.random.default_rng(int(rng.integers(2**63))).integers(2**32, size=2, dtype=np.uint32)
        random.seed(int(words[0]))
        np.random.seed(words[1])  # noqa: NPY002
        expected = np.array(theirs(Image.fromarray(plain)))
        np.testing.assert_array_equal(view(IMAGE, np.random.default_rng(seed))[0].permute(1, 2, 0), expected)
        changed += not np.array_equal(plain, expected)
    assert changed > 15


def test_erased_rectangle_is_noise_of_the_normalised_image() -> None:
    grey = np.full((64, 64, 3), 7, np.uint8)
    erased, pixels = [], []
    for seed in range(400):
        view = SupervisedView(64, erase=0.25)(grey, np.random.default_rng(seed))[0]
        changed = (view != 7).any(0)
        if not changed.any():
            continue
        rows, columns = changed.any(1).nonzero().squeeze(1), changed.any(0).nonzero().squeeze(1)
        box = view[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        erased.append(box[0].numel() / 64**2)
        pixels.append(box.flatten(1).float())
        assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].float().mean() > 0.9  # one full rectangle
    assert 0.19 < len(erased) / 400 < 0.31
    assert 0.015 < min(erased) < 0.05 and 0.28 < max(erased) < 0.35
    pixels = torch.cat(pixels, 1)
    torch.testing.assert_close(pixels.mean(1), torch.tensor([123.675, 116.28, 103.53]), rtol=0.02, atol=0)
    torch.testing.assert_close(pixels.std(1), torch.tensor([58.395, 57.12, 57.375]), rtol=0.05, atol=0)


def test_probability_one_always_erases() -> None:
    grey = np.full((64, 64, 3), 7, np.uint8)
    assert all((draw(seed, grey, erase=1.0) != 7).any() for seed in range(50))


def test_arguments() -> None:
    for description in ('augmix-m3', 'rand-q9', 'nothing'):
        with pytest.raises(ValueError, match=description):
            SupervisedView(32, rand_augment=description)
    for interpolation in ('lanczos', 'bicubic-aliased'):
        with pytest.raises(ValueError, match=f'got {interpolation!r}'):
            SupervisedView(32, interpolation=interpolation)
    with pytest.raises(ValueError, match='got 2'):
        SupervisedView(32, erase=2.0)


def test_images_are_shifted_by_up_to_0_45_of_their_side() -> None:
    view = SupervisedView(64, rand_augment=RAND_AUGMENT)
    assert {operation.hparams['translate_const'] for operation in view.rand_augment.ops} == {28}  # as in timm
