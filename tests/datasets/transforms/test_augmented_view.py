"""AugmentedView: what it draws, how often, in which order, and that the seed decides it."""

from collections import Counter

import numpy as np
import pytest

from mmssl.datasets.transforms.augmented_view import AugmentedView
from mmssl.datasets.transforms.photometric_program import CODES, OPERATIONS

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
FULL = dict(jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2, blur=0.5, solarize=0.2)
NUM = 4000


def programs(num: int = NUM, **kwargs) -> list[list[tuple[str, float]]]:
    view, rng = AugmentedView(8, **kwargs), np.random.default_rng(0)
    drawn = [view.draw_program(iter(rng.random(40).tolist()).__next__).tolist() for _ in range(num)]
    return [[(OPERATIONS[int(code)], value) for code, value in steps if code] for steps in drawn]


def share(drawn: list[list[tuple[str, float]]], name: str) -> float:
    return np.mean([name in dict(steps) for steps in drawn])


def test_view_is_a_crop_and_a_program() -> None:
    crop, program = AugmentedView(16, **FULL)(IMAGE, np.random.default_rng(0))
    assert crop.shape == (3, 16, 16) and program.shape == (7, 2)
    again = AugmentedView(16, **FULL)(IMAGE, np.random.default_rng(0))
    assert crop.equal(again[0]) and program.equal(again[1])


def test_nothing_photometric_by_default() -> None:
    assert programs(100) == [[]] * 100


def test_probabilities() -> None:
    drawn = programs(**FULL)
    expected = dict(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.8, grayscale=0.2, blur=0.5, solarize=0.2)
    for name, probability in expected.items():
        assert abs(share(drawn, name) - probability) < 0.03, name


def test_a_view_may_draw_all_it_can() -> None:
    view = AugmentedView(8, min_scale=0.999, **dict(FULL, grayscale=1.0, blur=1.0, solarize=1.0), jitter_prob=1.0)
    for seed in range(50):  # a long thin image takes all ten attempts
        _, program = view(IMAGE[:3], np.random.default_rng(seed))
        assert (program[:, 0] > 0).all()


def test_ranges() -> None:
    drawn = programs(**FULL, blur_sigma=(0.5, 1.5), solarize_threshold=100)
    limits = dict(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.8, 1.2), hue=(-0.1, 0.1), blur=(0.5, 1.5))
    for name, (low, high) in limits.items():
        values = [value for steps in drawn for other, value in steps if other == name]
        margin = 0.01 * (high - low)
        assert low <= min(values) < low + margin and high - margin < max(values) <= high, name
        assert abs(np.mean(values) - (low + high) / 2) < 3 * margin
    assert {value for steps in drawn for name, value in steps if name == 'solarize'} == {np.float32(100 / 255)}


def test_a_factor_is_never_negative_and_a_strength_of_zero_is_left_out() -> None:
    drawn = programs(jitter=(1.5, 0, 0, 0.2), jitter_prob=1.0)
    assert min(value for steps in drawn for name, value in steps if name == 'brightness') >= 0
    assert {name for steps in drawn for name, _ in steps} == {'brightness', 'hue'}


def test_jitter_comes_in_every_order_equally_often() -> None:
    orders = Counter(tuple(name for name, _ in steps) for steps in programs(jitter=(0.4,) * 4, jitter_prob=1.0))
    assert len(orders) == 24
    assert min(orders.values()) > 0.7 * NUM / 24


def test_order_of_groups() -> None:
    moco_v1 = programs(jitter=(0.4,) * 4, jitter_prob=1.0, grayscale=0.2, order=('grayscale', 'jitter'))
    assert {steps[0][0] for steps in moco_v1 if len(steps) == 5} == {'grayscale'}
    default = programs(jitter=(0.4, 0, 0, 0), jitter_prob=1.0, grayscale=1.0, blur=1.0, solarize=1.0)
    assert {tuple(name for name, _ in steps) for steps in default} == {('brightness', 'grayscale', 'blur', 'solarize')}
    assert [CODES[name] for name in OPERATIONS] == list(range(11))


def test_flip() -> None:
    ramp = np.repeat(np.arange(50, dtype=np.uint8)[None, :, None], 40, 0).repeat(3, 2)
    view = AugmentedView(8, min_scale=0.5, flip=0.3)
    flipped = [view(ramp, np.random.default_rng(seed))[0] for seed in range(1000)]
    assert abs(np.mean([int(crop[0, 0, 0]) > int(crop[0, 0, -1]) for crop in flipped]) - 0.3) < 0.05


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(size=0), 'size'),
        (dict(size=8, min_scale=0), 'min_scale'),
        (dict(size=8, min_scale=0.5, max_scale=0.4), 'min_scale'),
        (dict(size=8, ratio=(2, 1)), 'ratio'),
        (dict(size=8, interpolation='box'), "got 'box'"),
        (dict(size=8, jitter=(0.4, 0.4, 0.4)), 'four strengths'),
        (dict(size=8, jitter=(0.4, 0.4, 0.4, 0.6)), 'hue at most 0.5'),
        (dict(size=8, blur=1.5), 'probability of blur must be in'),
        (dict(size=8, flip=-0.1), 'probability of flip'),
        (dict(size=8, blur_sigma=(0, 2)), 'blur_sigma'),
        (dict(size=8, blur=0.5, order=('jitter', 'grayscale')), 'order must name'),
        (dict(size=8, order=('jitter', 'jitter', 'blur', 'grayscale', 'solarize')), 'order must name'),
        (dict(size=8, order=('jitter', 'sharpen')), 'order must name'),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AugmentedView(**arguments)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(solarize_threshold=-1), r'solarize_threshold must be in \[0, 255\], got -1'),
        (dict(solarize_threshold=999), 'got 999'),
        (dict(jitter=(float('nan'), 0.4, 0.4, 0.1)), 'four strengths >= 0, finite'),
        (dict(jitter=(float('inf'), 0.4, 0.4, 0.1)), 'four strengths >= 0, finite'),
        (dict(blur_sigma=(0.1, 1.0, 2.0)), 'blur_sigma must be two'),
        (dict(blur_sigma=(0.1, float('inf'))), 'blur_sigma must be two'),
        (dict(ratio=(0.1, float('inf'))), 'ratio must be two'),
    ],
)
def test_numbers_without_a_meaning_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AugmentedView(8, **arguments)
