"""SameView: one draw, two renderings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmssl.datasets.image_folder import ImageFolder
from mmssl.datasets.transforms.same_view import SameView
from tests.support.image_files import write_images

STUDENT = dict(type='AugmentedView', size=16, interpolation='bicubic', jitter=(0.4, 0.4, 0.4, 0), jitter_prob=1.0)
TEACHER = dict(type='SameView', size=16, interpolation='lanczos')


@pytest.fixture
def photograph(tmp_path: Path) -> str:
    from skimage.data import astronaut

    Image.fromarray(astronaut()[:200, :300]).save(tmp_path / 'photograph.png')
    return str(tmp_path)


def test_crop_flip_and_colours_are_those_of_the_view_before(photograph: str) -> None:
    images = ImageFolder(photograph, views=[STUDENT, dict(TEACHER, interpolation='bicubic'), TEACHER, STUDENT])
    flipped = set()
    for epoch in range(8):
        item = images[(epoch, 0)]
        student, same, teacher, other = item['inputs']
        assert torch.equal(student, same)
        difference = (student.int() - teacher.int()).abs()
        assert 0 < difference.max() < 60 and difference.float().mean() < 4  # the filters differ, the crop does not
        assert (student.int() - other.int()).abs().float().mean() > 10
        programs = item['photometric']
        assert torch.equal(programs[0], programs[1]) and torch.equal(programs[0], programs[2])
        assert not torch.equal(programs[0], programs[3])
        rng = np.random.default_rng((0, epoch, 0))
        flipped.add(images.views[0].draw((200, 300), rng).flipped)
    assert flipped == {True, False}


def test_another_rendering_draws_nothing(photograph: str) -> None:
    with_teacher = ImageFolder(photograph, views=[STUDENT, TEACHER, STUDENT])[(3, 0)]
    without = ImageFolder(photograph, views=[STUDENT, STUDENT])[(3, 0)]
    assert torch.equal(with_teacher['inputs'][2], without['inputs'][1])


def test_another_size_shows_the_same_crop(photograph: str) -> None:
    images = ImageFolder(photograph, views=[STUDENT, dict(TEACHER, size=8)])
    large, small = images[0]['inputs']
    assert small.shape == (3, 8, 8)
    halved = torch.nn.functional.avg_pool2d(large.float(), 2)
    assert (halved - small).abs().mean() < 6


def test_the_first_view_cannot_be_the_same_as_one_before(tmp_path: Path) -> None:
    write_images(tmp_path, ['0.png'])
    with pytest.raises(ValueError, match='there is no previous view'):
        ImageFolder(str(tmp_path), views=[TEACHER, STUDENT])


@pytest.mark.parametrize('arguments', [dict(size=0), dict(size=8, interpolation='box')])
def test_wrong_arguments(arguments: dict) -> None:
    with pytest.raises(ValueError, match='got'):
        SameView(**arguments)
