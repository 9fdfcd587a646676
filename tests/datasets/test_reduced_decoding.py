"""Reduced decoding: the same crops and colours, and nearly the same pixels, of large JPEG files only."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmssl.datasets import base
from mmssl.datasets.concat_dataset import ConcatDataset
from mmssl.datasets.decode import decode_image, decode_reduced, jpeg_shape
from mmssl.datasets.image_folder import ImageFolder
from tests.support.image_files import encode, write_images

VIEW = dict(type='AugmentedView', size=32, min_scale=0.5, jitter=(0.4, 0.4, 0.4, 0.1))
VIEWS = [VIEW, dict(type='SameView', size=16)]


@pytest.fixture(scope='module')
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smooth JPEG of 403x301 pixels, a smaller one, and a PNG."""
    folder = tmp_path_factory.mktemp('photos')
    noise = np.random.default_rng(0).integers(0, 256, (10, 13, 3), np.uint8)
    large = cv2.resize(noise, (403, 301), interpolation=cv2.INTER_CUBIC)
    (folder / '0.jpg').write_bytes(encode(large, '.jpg'))
    (folder / '1.jpg').write_bytes(encode(large[:50, :60], '.jpg'))
    (folder / '2.png').write_bytes(encode(large))
    return folder


@pytest.mark.parametrize('divisor', [2, 4, 8])
def test_a_reduced_image_is_the_mean_of_its_blocks(divisor: int, photos: Path) -> None:
    data = (photos / '0.jpg').read_bytes()
    whole, reduced = decode_image(data), decode_reduced(data, divisor)
    assert jpeg_shape(data) == (301, 403) == whole.shape[:2]
    rows, columns = 301 // divisor, 403 // divisor
    blocks = whole[: rows * divisor, : columns * divisor].reshape(rows, divisor, columns, divisor, 3)
    assert reduced.shape == (-(-301 // divisor), -(-403 // divisor), 3)
    assert np.abs(reduced[:rows, :columns] - blocks.mean((1, 3))).mean() < 2


def test_views_are_nearly_the_same(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ImageFolder(str(photos), seed=0, views=VIEWS)
    quick = ImageFolder(str(photos), seed=0, views=VIEWS, reduced_decoding=2)
    used: list[int] = []
    original = base.decode_reduced
    monkeypatch.setattr(base, 'decode_reduced', lambda data, divisor: used.append(divisor) or original(data, divisor))
    for epoch in range(8):
        one, other = plain[epoch, 0], quick[epoch, 0]
        assert all(map(torch.equal, one['photometric'], other['photometric']))
        for a, b in zip(one['inputs'], other['inputs']):
            assert a.shape == b.shape and 0 < (a.float() - b.float()).abs().mean() < 2
        for row in (1, 2):  # too small, and not a JPEG
            assert all(map(torch.equal, plain[epoch, row]['inputs'], quick[epoch, row]['inputs']))
    assert len(used) == 8 and set(used) <= {2, 4}
    source = dict(type='ImageFolder', data_root=str(photos))
    mixed = ConcatDataset([source], seed=0, views=VIEWS, reduced_decoding=2)
    assert torch.equal(mixed[5, 0]['inputs'][0], quick[5, 0]['inputs'][0])
    with pytest.raises(ValueError, match='without decoded copies'):
        ConcatDataset([dict(source, decoded=str(photos / 'copies'))], views=VIEWS, reduced_decoding=2)
    evaluated = quick.with_transform(dict(type='CenterCropView', size=8))
    assert torch.equal(evaluated[0]['inputs'], plain.with_transform(dict(type='CenterCropView', size=8))[0]['inputs'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(reduced_decoding=0.5), 'must be at least 1 pixel'),
        (dict(reduced_decoding=float('nan')), 'must be at least 1 pixel'),
        (dict(views=[dict(type='AlignedView', size=8)]), 'got AlignedView'),
        (dict(views=[dict(VIEW, interpolation='bicubic-aliased')]), "interpolation='bicubic-aliased'"),
        (dict(decoded='copies'), 'without decoded copies'),
        (dict(bands=3), 'without bands'),
    ],
)
def test_what_it_needs(change: dict, message: str, tmp_path: Path) -> None:
    write_images(tmp_path, ['0.png'])
    with pytest.raises(ValueError, match=message):
        ImageFolder(str(tmp_path), **{'views': [VIEW], 'reduced_decoding': 1, **change})
