"""BoWNet's target stays as it is, reads its files, and is mixed as the images are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mmssl.checkpoints.files import save_checkpoint_file
from mmssl.models.algorithms.bownet import BoWNet
from mmssl.models.components.bag_mix import BagMix
from mmssl.models.targets import visual_words_target
from mmssl.registry import BACKBONES, HEADS
from mmssl.utils.errors import UserError
from tests.support.interruption import assert_resume_is_exact

BACKBONE = dict(type='ResNet', depth=18, stem='small', width=0.125, out_indices=(1,))


def small(**target):
    torch.manual_seed(0)
    model = BoWNet(
        backbone=BACKBONE,
        neck=dict(type='Identity'),
        head=dict(type='WordPredictHead', in_channels=16, num_words=12),
        target=dict(type='VisualWordsTarget', backbone=BACKBONE, **dict(num_words=12) | target),
    )
    model.init_weights()
    return model.train()


def test_a_step_leaves_the_frozen_network_and_the_words_alone():
    model = small()
    before = {name: tensor.clone() for name, tensor in model.target.named_buffers()}
    before |= {name: tensor.clone() for name, tensor in model.target.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.loss([torch.randn(4, 3, 16, 16), torch.randn(4, 3, 24, 24)])['loss'].backward()
    optimizer.step()
    after = dict(model.target.named_buffers()) | dict(model.target.named_parameters())
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(p.grad is None for p in model.target.parameters())
    names = model.state_dict()
    assert 'target.words' in names and 'target.teacher.conv1.weight' not in names


def test_network_and_vocabulary_come_from_files(tmp_path):
    torch.manual_seed(1)
    teacher = BACKBONES.build(BACKBONE)
    save_checkpoint_file(dict(state_dict=teacher.state_dict()), tmp_path / 'backbone.pth')
    words = np.random.default_rng(0).random((12, 16), dtype=np.float32)
    np.save(tmp_path / 'words.npy', words)
    model = small(checkpoint=str(tmp_path / 'backbone.pth'), vocabulary=str(tmp_path / 'words.npy'))
    assert torch.equal(model.target.teacher.conv1.weight, teacher.conv1.weight)
    assert not torch.equal(model.backbone.conv1.weight, teacher.conv1.weight)
    assert_close(model.target.words, torch.from_numpy(words))

    np.save(tmp_path / 'words.npy', words[:5])
    with pytest.raises(UserError, match='holds 5 words of 16 channels and the target has 12 words of 16'):
        small(vocabulary=str(tmp_path / 'words.npy'))
    with pytest.raises(UserError, match='does not exist: the step FitVocabulary writes it'):
        small(vocabulary=str(tmp_path / 'none.npy'))
    for content in ('', 'words'):
        (tmp_path / 'words.npy').write_text(content)
        with pytest.raises(UserError, match='is damaged or holds no array'):
            small(vocabulary=str(tmp_path / 'words.npy'))


def test_a_new_run_from_loaded_weights_keeps_the_vocabulary_of_its_config(tmp_path):
    words = np.random.default_rng(0).random((12, 16), dtype=np.float32)
    np.save(tmp_path / 'words.npy', words)
    model = small(vocabulary=str(tmp_path / 'words.npy'))
    model.load_state_dict(small().state_dict())
    model.on_train_start()
    assert_close(model.target.words, torch.from_numpy(words))


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match='num_words of model.target and model.head must be equal, got 9 and 12'):
        small(num_words=9)
    with pytest.raises(ValueError, match='the features have 8 numbers: set in_channels=8, got 16'):
        small().head.predict(torch.zeros(2, 8))
    with pytest.raises(ValueError, match='the features have 8 numbers: set in_channels=8, got 5'):
        HEADS.build(dict(type='LinearClsHead', in_channels=5, num_classes=2)).predict(torch.zeros(2, 8))


def test_random_words_are_no_secret(monkeypatch):
    said = []
    monkeypatch.setattr(visual_words_target, 'print_log', lambda text, *options: said.append(text))
    small()
    assert said == ['the bags of words are random: set model.target.checkpoint and model.target.vocabulary']


def test_an_interrupted_run_ends_in_the_same_bits(tmp_path):
    save_checkpoint_file(dict(state_dict=BACKBONES.build(BACKBONE).state_dict()), tmp_path / 'backbone.pth')
    np.save(tmp_path / 'words.npy', np.random.default_rng(0).random((12, 16), dtype=np.float32))
    files = dict(checkpoint=str(tmp_path / 'backbone.pth'), vocabulary=str(tmp_path / 'words.npy'))
    model = dict(
        type='BoWNet',
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=BACKBONE,
        neck=dict(type='Identity'),
        head=dict(type='WordPredictHead', in_channels=16, num_words=12),
        target=dict(type='VisualWordsTarget', backbone=BACKBONE, num_words=12, **files),
        mix=dict(type='BagMix'),
    )
    assert_resume_is_exact(tmp_path, model=model)


def test_mixed_bags_weigh_areas():
    np.random.seed(0)  # noqa: NPY002
    images = torch.stack([torch.full((3, 20, 20), value) for value in (0.0, 1.0)])
    bags = torch.eye(2)
    mixed, weights = BagMix(prob=1.0)(images, bags)
    share = mixed[0].mean()  # of the second image
    assert 0 < share < 1
    assert_close(weights, torch.stack([torch.stack([1 - share, share]), torch.stack([share, 1 - share])]))
    assert BagMix(prob=0.0)(images, bags)[0] is images
