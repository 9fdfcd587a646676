"""SelfSupDataPreprocessor: bytes in, normalised floats out, augmented if the batch says so."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from mmssl.datasets.transforms.photometric_program import CODES, NUM_STEPS
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.registry import MODELS

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def batch(num: int = 5, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(num)
    return torch.randint(0, 256, (num, 3, size, size), dtype=torch.uint8, generator=generator)


def programs(num: int, name: str = 'none', value: float = 0.0) -> Tensor:
    program = torch.zeros(num, NUM_STEPS, 2)
    program[::2, 0] = torch.tensor([CODES[name], value])  # every second image
    return program


def samples(num: int) -> dict[str, Tensor]:
    return dict(index=torch.arange(num), label=torch.full((num,), -1))


def test_evaluation_batch_is_normalised() -> None:
    preprocessor = MODELS.build(dict(type='SelfSupDataPreprocessor'))
    images = batch()
    result = preprocessor(dict(inputs=images, data_samples=samples(5), skipped=[]))
    torch.testing.assert_close(result['inputs'], reference.normalize(images / 255, MEAN, STD), rtol=0, atol=2e-6)
    assert result['data_samples']['index'].tolist() == list(range(5))


def test_views_are_augmented_one_by_one() -> None:
    views = [batch(5), batch(5, 24)]
    photometric = [programs(5, 'brightness', 0.5), programs(5, 'grayscale')]
    data = dict(inputs=views, photometric=photometric, data_samples=samples(5))
    first, second = SelfSupDataPreprocessor((0, 0, 0), (255, 255, 255))(data, training=True)['inputs']
    torch.testing.assert_close(first[::2], views[0][::2] / 255 * 0.5)
    torch.testing.assert_close(first[1::2], views[0][1::2] / 255)
    torch.testing.assert_close(second[::2], reference.rgb_to_grayscale(views[1][::2] / 255, 3))
    torch.testing.assert_close(second[1::2], views[1][1::2] / 255)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_any_size_and_memory_gives_the_same(memory_format: torch.memory_format) -> None:
    images = batch(3, 300)  # larger than what is prepared at a time
    photometric = programs(3, 'solarize', 0.5)
    data = dict(inputs=[images.contiguous(memory_format=memory_format)], photometric=[photometric], data_samples={})
    (result,) = SelfSupDataPreprocessor((0, 0, 0), (255, 255, 255))(data)['inputs']
    expected = torch.stack(
        [reference.solarize(images[i] / 255, 0.5) if i % 2 == 0 else images[i] / 255 for i in range(3)]
    )
    torch.testing.assert_close(result, expected)
    assert result.is_contiguous()
    preprocessor = SelfSupDataPreprocessor((0, 0, 0), (255, 255, 255))
    preprocessor.memory_format = torch.channels_last
    (last,) = preprocessor(data)['inputs']
    assert torch.equal(last, result) and last.is_contiguous(memory_format=torch.channels_last)


def test_views_of_one_size_are_prepared_together_and_do_not_change() -> None:
    views = [batch(5), batch(3, 24), batch(5).flip(0), batch(5).flip(3)]
    photometric = [programs(5, 'hue', 0.2), programs(3, 'blur', 1.0), programs(5, 'contrast', 0.5), programs(5)]
    preprocessor = SelfSupDataPreprocessor()
    together = preprocessor(dict(inputs=views, photometric=photometric))['inputs']
    for view, program, found in zip(views, photometric, together):
        torch.testing.assert_close(found, preprocessor.prepare(view, program), rtol=0, atol=1e-5)
    assert together[0].data_ptr() != together[2].data_ptr()
    assert together[0].untyped_storage().data_ptr() == together[2].untyped_storage().data_ptr()


def test_batch_is_left_as_it_was() -> None:
    images = batch()
    data = dict(inputs=[images], photometric=[programs(5, 'solarize', 0.5)], data_samples=samples(5))
    preprocessor = SelfSupDataPreprocessor()
    results = [preprocessor(data)['inputs'][0] for _ in range(2)]
    assert results[0].equal(results[1]) and images.equal(batch())


def test_denormalized_images_are_the_bytes() -> None:
    preprocessor = SelfSupDataPreprocessor()
    assert preprocessor.denormalize(preprocessor(dict(inputs=batch()))['inputs']).equal(batch())


def test_nothing_is_stored_in_a_checkpoint() -> None:
    assert not SelfSupDataPreprocessor().state_dict()


@pytest.mark.parametrize('arguments', [dict(mean=(0, 0)), dict(std=(1, 1, 0))])
def test_wrong_arguments(arguments: dict) -> None:
    with pytest.raises(ValueError, match='one number for each band, std positive'):
        SelfSupDataPreprocessor(**arguments)


def test_means_on_another_scale_are_refused() -> None:
    with pytest.raises(ValueError, match=r'the scale 0-255, got std=\[0.229, 0.224, 0.225\]: multiply both by 255'):
        SelfSupDataPreprocessor(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def test_images_of_another_type_are_refused() -> None:
    for images in (torch.rand(1, 3, 4, 4), torch.zeros(1, 3, 4, 4, dtype=torch.int16)):
        with pytest.raises(ValueError, match=f'bytes .*, got {images.dtype}'):
            SelfSupDataPreprocessor().prepare(images)


@pytest.mark.gpu
def test_moves_to_the_gpu() -> None:
    preprocessor = SelfSupDataPreprocessor().cuda()
    data = dict(inputs=[batch()], photometric=[programs(5, 'blur', 1.5)], data_samples=samples(5))
    result = preprocessor(data)
    assert result['inputs'][0].is_cuda and result['data_samples']['index'].is_cuda
    torch.testing.assert_close(
        result['inputs'][0].cpu(), SelfSupDataPreprocessor()(data)['inputs'][0], rtol=0, atol=1e-4
    )
