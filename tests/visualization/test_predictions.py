"""Pictures of predictions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmssl.apis.predict import Predictor
from mmssl.datasets.class_folder import ClassFolder
from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.decode import UnreadableImageError
from mmssl.engine.hooks.pictures import PicturesHook
from mmssl.utils.errors import UserError
from mmssl.visualization.predictions import Prediction, best_classes, read_upright
from tests.support.image_files import EVALUATION, write_images


@pytest.mark.parametrize('content', [b'', b'no image'])
def test_a_file_that_is_no_image(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / 'x.jpg'
    file.write_bytes(content)
    with pytest.raises(UnreadableImageError, match='not an image file'):
        read_upright(str(file))


def test_colours_of_other_classes_are_too_few() -> None:
    boxes, labels = torch.tensor([[1.0, 1.0, 6.0, 6.0]]), torch.tensor([1])
    prediction = Prediction(('a', 'b'), boxes, labels, torch.ones(1), colors=[(0, 0, 0)])
    assert prediction.draw(np.zeros((8, 8, 3), np.uint8)).any()


def test_a_classifier_with_more_or_fewer_outputs_than_names() -> None:
    logits = torch.tensor([1.0, 0.0, 3.0, 2.0])
    assert best_classes(logits, ['a', 'b'], 5).names == ['2', '3', 'a', 'b']
    assert best_classes(logits[:2], ['a', 'b', 'c'], 5).names == ['a', 'b']


def test_a_classifier_names_at_least_one_class() -> None:
    with pytest.raises(UserError, match='num_best must be a whole number of at least 1, got 0'):
        Predictor('no_recipe', 'no_file.pth', num_best=0)


class _Classifier(nn.Module):
    def data_preprocessor(self, batch: dict, training: bool) -> dict:
        return batch

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        return torch.eye(2)[: len(images)]


def test_another_image_is_drawn_for_one_that_cannot_be_read(tmp_path: Path) -> None:
    write_images(tmp_path, ['cat/0.png', 'dog/1.png'])
    (tmp_path / 'cat' / '2.png').write_bytes(b'no image')
    dataset = ClassFolder(str(tmp_path), **EVALUATION)
    loop = SimpleNamespace(dataloader=SimpleNamespace(collate_fn=collate_views, dataset=dataset))
    hook = PicturesHook(out_dir=str(tmp_path / 'out'))
    hook._draw_classified(SimpleNamespace(algorithm=_Classifier(), test_loop=loop), dataset)
    assert hook.number == 3 and len(list((tmp_path / 'out').iterdir())) == 3


@pytest.mark.parametrize('ignored', [-1, 2, 255])
def test_ignored_pixels_belong_to_no_class(ignored: int) -> None:
    labels = torch.tensor([[ignored, ignored], [0, 1]])
    assert Prediction(('a', 'b'), label_map=labels).summary() == dict(shares=dict(a=0.25, b=0.25))
