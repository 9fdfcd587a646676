from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmssl.datasets.transforms.augmented_view import AugmentedView
from mmssl.datasets.transforms.photometric_program import CODES
from mmssl.engine.agreement import check_bands
from mmssl.models.preprocessing.band_photometric import run_band_programs
from mmssl.models.preprocessing.photometric import FUNCTIONS
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.utils.errors import UserError


def program(*steps: tuple[str, float]) -> torch.Tensor:
    return torch.tensor([[CODES[name], value] for name, value in steps])


@pytest.mark.parametrize(
    ('name', 'value'),
    [('brightness', 1.3), ('channel_contrast', 0.6), ('brightness_offset', -0.2), ('blur', 1.1), ('solarize', 0.5)],
)
def test_an_operation_on_bands_is_that_on_colours_band_by_band(name: str, value: float) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 7, 12, 10)
    expected = images.clone()
    groups = images[:1, :6].split(3, dim=1)  # the first image changes, the second does not
    changed = torch.cat([FUNCTIONS[name](group, torch.tensor([value])) for group in groups], dim=1)
    programs = torch.stack([program((name, value)), program(('none', 0.0))])
    actual = run_band_programs(images, programs)
    torch.testing.assert_close(actual[:1, :6], changed)
    torch.testing.assert_close(actual[1], expected[1])
    last = torch.cat([expected[:1, 6:]] * 3, dim=1)
    torch.testing.assert_close(actual[:1, 6:], FUNCTIONS[name](last, torch.tensor([value]))[:, :1])


def test_contrast_uses_the_mean_of_each_band_and_colours_are_refused() -> None:
    images = torch.rand(1, 4, 8, 8) * 0.5 + 0.25
    actual = run_band_programs(images.clone(), program(('contrast', 0.5))[None])
    torch.testing.assert_close(actual.mean((2, 3)), images.mean((2, 3)))
    torch.testing.assert_close(actual.std((2, 3)), images.std((2, 3)) / 2)
    for name in ('hue', 'saturation', 'grayscale', 'hsv_saturation'):
        with pytest.raises(ValueError, match=f'{name} needs red, green and blue'):
            run_band_programs(images.clone(), program((name, 0.1))[None])


def test_samples_of_16_bits_reach_the_device_and_are_normalised_there(tmp_path: Path) -> None:
    images = torch.randint(0, 65536, (3, 5, 8, 8), dtype=torch.int32).to(torch.uint16)
    mean, std = [10.0, 20.0, 30.0, 40.0, 50.0], [60.0] * 5
    (tmp_path / 'statistics.json').write_text(json.dumps(dict(mean=mean, std=std)))
    for preprocessor in (
        SelfSupDataPreprocessor(mean, std),
        SelfSupDataPreprocessor(statistics=str(tmp_path / 'statistics.json')),
    ):
        prepared = preprocessor(dict(inputs=images))['inputs']
        expected = (images.float() / 257 - torch.tensor(mean).view(-1, 1, 1)) / 60
        torch.testing.assert_close(prepared, expected, atol=1e-5, rtol=1e-5)
    views = preprocessor(dict(inputs=[images, images], photometric=[program(('brightness', 0.5)).repeat(3, 1, 1)] * 2))
    assert [tuple(view.shape) for view in views['inputs']] == [(3, 5, 8, 8)] * 2
    with pytest.raises(ValueError, match='images have 4 bands and .*mean has 5'):
        preprocessor(dict(inputs=images[:, :4]))


def test_figures_show_chosen_bands() -> None:
    images = torch.rand(1, 5, 4, 4)
    plain = dict(mean=[0.0] * 5, std=[255.0] * 5)
    shown = SelfSupDataPreprocessor(**plain, shown=(4, 2, 0)).denormalize(images)
    assert torch.equal(shown, images[:, [4, 2, 0]].mul(255).round().to(torch.uint8))
    grey = SelfSupDataPreprocessor([0.0], [255.0]).denormalize(images[:, :1])
    assert grey.shape == (1, 3, 4, 4) and torch.equal(grey[:, 0], grey[:, 2])
    for wrong in ((0, 9, 1), [0, 1], [], 0, 2, '210'):
        with pytest.raises(ValueError, match='one or three of the bands 0 to 4'):
            SelfSupDataPreprocessor(**plain, shown=wrong)


def test_wrong_bands_and_colour_operations_stop_before_the_first_iteration() -> None:
    def algorithm(number: int) -> SimpleNamespace:
        return SimpleNamespace(data_preprocessor=SimpleNamespace(num_bands=number))

    def dataset(number: int | None, **view: object) -> SimpleNamespace:
        return SimpleNamespace(num_bands=number, views=[AugmentedView(8, **view)])

    check_bands(algorithm(3), dataset(None, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2))
    check_bands(algorithm(5), dataset(5, jitter=(0.4, 0.4, 0.0, 0.0), blur=0.5, solarize=0.1))
    with pytest.raises(UserError, match='has 4 bands and model.data_preprocessor.mean 5'):
        check_bands(algorithm(5), dataset(4))
    with pytest.raises(UserError, match='use saturation and hue and grayscale, which need red, green and blue'):
        check_bands(algorithm(5), dataset(5, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2))


def test_statistics_belong_to_a_range(tmp_path: Path) -> None:
    file = tmp_path / 'scenes.json'

    def measured(pairs: list) -> SimpleNamespace:
        file.write_text(json.dumps(dict(bands=2, mean=[90.0] * 2, std=[50.0] * 2, value_range=pairs)))
        return SimpleNamespace(data_preprocessor=SelfSupDataPreprocessor(statistics=str(file)))

    def check(algorithm: SimpleNamespace, value_range: object) -> None:
        dataset = SimpleNamespace(num_bands=2, views=[], value_range=value_range)
        check_bands(algorithm, dataset, 'val_dataloader.dataset')

    of_scenes = measured([[0.0, 4095.0], [0.0, 4095.0]])
    check(of_scenes, (0, 4095))
    for other in (None, (0, 1), [(0.0, 4095.0), (1.0, 4095.0)]):
        with pytest.raises(UserError, match=r"set val_dataloader.dataset.value_range='.*scenes.json'"):
            check(of_scenes, other)
    check(measured([[0, 65535]] * 2), None)
    parts = [SimpleNamespace(value_range=pair) for pair in ((0, 4095), (0, 1))]
    of_parts = SimpleNamespace(num_bands=2, views=[], value_range=None, sources=parts[:1])  # a ConcatDataset
    check_bands(measured([[0.0, 4095.0]] * 2), of_parts)
    of_parts.sources = parts
    with pytest.raises(UserError, match=r'has value_range=\(0, 1\)'):
        check_bands(measured([[0.0, 4095.0]] * 2), of_parts)


@pytest.mark.parametrize('value_range', [None, (0, 4095)])
def test_statistics_of_a_range_do_not_fit_images_in_rgb(tmp_path: Path, value_range: object) -> None:
    file = tmp_path / 'scenes.json'

    def check(pairs: list) -> None:
        file.write_text(json.dumps(dict(bands=3, mean=[90.0] * 3, std=[50.0] * 3, value_range=pairs)))
        algorithm = SimpleNamespace(data_preprocessor=SelfSupDataPreprocessor(statistics=str(file)))
        check_bands(algorithm, SimpleNamespace(num_bands=None, views=[], value_range=value_range))

    check([[0, 255]] * 3)
    with pytest.raises(UserError, match=r"value_range='.*scenes.json' and train_dataloader.dataset.bands=3"):
        check([[60, 199]] * 3)
