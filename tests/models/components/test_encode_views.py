from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmssl.models.components.ema_teacher import EMATeacher
from mmssl.models.components.encode_views import embed_views, encode_views
from tests.support.small_parts import build, predict
from tests.support.small_parts import views as two_views


class Spy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        self.sizes.append(tuple(images.shape))
        return (images,)


def test_one_forward_per_size_and_views_in_order():
    views = [torch.randn(2, 3, size, size) for size in (8, 8, 4, 4, 4)]
    spy = Spy()
    features = encode_views(spy, views)
    assert spy.sizes == [(4, 3, 8, 8), (6, 3, 4, 4)]
    assert_close(features.unflatten(0, (5, 2)), torch.stack([view.mean(dim=(2, 3)) for view in views]))


def calls(parts: list[nn.Module], views: list[torch.Tensor], joint: bool | str) -> tuple[list[int], list[torch.Tensor]]:
    """Rows of the batches that each part gets, and the embeddings."""
    rows: list[int] = []
    handles = [part.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0]))) for part in parts]
    embeddings = embed_views(parts, views, joint)
    for handle in handles:
        handle.remove()
    return rows, embeddings


def test_views_pass_together_up_to_the_first_batch_norm():
    views = [torch.randn(3, 4) for _ in range(2)]
    plain, coupled = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    expected = [coupled(plain(view)) for view in views]
    rows, embeddings = calls([plain, coupled], views, 'auto')
    assert rows == [6, 3, 3]
    assert_close(embeddings, expected)
    assert calls([plain, coupled], views, False)[0] == [3, 3, 3, 3]
    rows, embeddings = calls([plain, coupled], views, True)
    assert rows == [6, 6]
    assert_close(torch.cat(embeddings), coupled(plain(torch.cat(views))))
    assert calls([plain, nn.Identity()], [views[0], torch.randn(2, 4)], True)[0] == [3, 3, 2, 2]  # sizes differ


def test_every_output_of_a_part_is_shared_out():
    class Two(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images, images + 1

    views = [torch.zeros(2, 1), torch.ones(2, 1)]
    assert_close(embed_views([Two()], views), [(view, view + 1) for view in views])


@pytest.mark.parametrize(('joint_views', 'passes'), [(None, 2), ('auto', 2), (False, 2), (True, 1)])
def test_a_method_lets_its_teacher_follow(joint_views: bool | str | None, passes: int):
    spies = []
    algorithm = build('BYOL', head=predict('CosineRegressionLoss'), teacher=dict(momentum=0.9), joint_views=joint_views)
    for backbone in (algorithm.backbone, algorithm.teacher.backbone):
        backbone.register_forward_pre_hook(lambda module, inputs: spies.append(len(inputs[0])))
    algorithm.loss(two_views())
    assert len(spies) == 2 * passes


def test_a_teacher_without_batch_norms_sees_its_views_together():
    teacher = EMATeacher(backbone=nn.Linear(4, 2), neck=nn.Linear(2, 2))
    views = [torch.randn(3, 4) for _ in range(2)]
    assert_close(teacher.embed(views), [teacher(view) for view in views])


@pytest.mark.parametrize(('method', 'value', 'message'), [('BYOL', 'yes', 'must be'), ('MoCo', True, 'takes no')])
def test_a_wrong_switch_is_refused(method: str, value: bool | str, message: str):
    slots = dict(head=predict('CosineRegressionLoss'), teacher=dict(momentum=0.9), joint_views=value)
    if method == 'MoCo':
        slots |= dict(queue=dict(length=4, dim=2), head=dict(type='QueueContrastLoss'))
    with pytest.raises(ValueError, match=f'joint_views {message}|{message} joint_views'):
        build(method, **slots)
