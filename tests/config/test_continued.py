from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from mmengine.config import Config

from mmssl.config.continued import go_on_gently, is_pretraining
from mmssl.registry import ALGORITHMS
from mmssl.utils.errors import UserError


def _config(**settings: Any) -> Config:
    return Config(
        dict(
            model=dict(type='SimCLR', backbone=dict(type='VisionTransformer')),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3), paramwise_cfg=dict(vectors=dict(decay_mult=0))),
            train_cfg=dict(val_interval=4),
            val_evaluator=dict(type='EmbeddingEvaluator'),
            **settings,
        )
    )


def test_the_backbone_is_slowed_down_and_waits_for_the_heads() -> None:
    cfg = _config()
    changes = go_on_gently(cfg)
    assert cfg.optim_wrapper.paramwise_cfg == dict(backbone_lr_mult=0.1, layer_decay=0.8, vectors=dict(decay_mult=0))
    assert cfg.custom_hooks == [dict(type='FreezeHook', name='backbone', epochs=1)]
    assert cfg.train_cfg.val_interval == 1 and 'trainable' not in cfg
    assert changes == [
        'the backbone learns at 0.1 times the rate of the recipe, 0.8 times that from block to block',
        'tokens and position tables of the backbone do not decay, as biases and norms',
        'the backbone does not move in the first epochs (1): heads start at random',
        'epochs between evaluations: 1',
    ]


def test_rates_of_the_recipe_stay_unless_they_are_named() -> None:
    def rates(own: dict, **continued: Any) -> tuple[dict, str]:
        cfg = _config(continued=continued)
        cfg.optim_wrapper.paramwise_cfg = own
        first = go_on_gently(cfg)[0]
        return dict(cfg.optim_wrapper.paramwise_cfg), first

    kept, said = rates(dict(layer_decay=0.9))
    assert kept == dict(backbone_lr_mult=0.1, layer_decay=0.9) and '0.9 times that' in said
    changed, said = rates(dict(layer_decay=0.9), layer_decay=0.7)
    assert changed['layer_decay'] == 0.7 and '0.7 times that' in said
    off, said = rates(dict(layer_decay=0.9), layer_decay=1)
    assert off == dict(backbone_lr_mult=0.1) and 'block to block' not in said


def test_rates_are_those_of_another_constructor_alone() -> None:
    for constructor in ('mmssl.GroupedOptimWrapperConstructor', 'DefaultOptimWrapperConstructor'):
        cfg = _config()
        cfg.optim_wrapper.constructor = constructor
        changes, is_slowed = go_on_gently(cfg), 'backbone_lr_mult' in cfg.optim_wrapper.paramwise_cfg
        assert is_slowed == constructor.startswith('mmssl.') == (f'rates are those of {constructor}' not in changes)


def test_settings_override_the_defaults() -> None:
    cfg = _config(continued=dict(low_rank=8, head_epochs=0, lr_factor=1.0))
    changes = go_on_gently(cfg)
    assert 'continued' not in cfg and cfg.trainable == dict(low_rank=8)
    assert 'updates of rank 8 train in place of the weights of the backbone' in changes
    for own, kept in ((dict(frozen_blocks=6), dict(frozen_blocks=6, low_rank=8)), (dict(low_rank=4), dict(low_rank=8))):
        go_on_gently(restricted := _config(continued=dict(low_rank=8), trainable=own))
        assert restricted.trainable == kept  # the runner refuses the first
    changes = go_on_gently(_config(continued=dict(frozen_blocks=2)))
    assert 'the embedding and the first blocks do not change (2)' in changes
    assert 'layer_decay' not in cfg.optim_wrapper.paramwise_cfg and 'custom_hooks' not in cfg
    untouched = _config(continued=None)
    assert go_on_gently(untouched) == [] and untouched.train_cfg.val_interval == 4


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(lr=0.1), "no setting 'lr'"),
        (dict(lr_factor=2.0), r'number in \(0, 1\], got 2.0'),
        (dict(head_epochs=-1), 'whole number, got -1'),
    ],
)
def test_wrong_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        go_on_gently(_config(continued=settings))


def test_only_a_pretraining_goes_on_gently() -> None:
    assert is_pretraining(_config())
    assert not is_pretraining(Config(dict(model=dict(type='ImageClassifier'))))
    assert not is_pretraining(Config(dict(model=dict(type='FasterRCNN'), default_scope='mmdet')))


def test_what_predicts_labels_is_a_classifier_and_nothing_else() -> None:
    """Other code takes an algorithm with ``predict`` for a classifier."""
    import_module('mmssl.models')
    assert {name for name, cls in ALGORITHMS.members.items() if hasattr(cls, 'predict')} == {'IGAM', 'ImageClassifier'}


@pytest.mark.parametrize('given', [5, 'lr_factor', ['lr_factor']])
def test_settings_that_are_no_dict(given: Any) -> None:
    with pytest.raises(UserError, match='continued takes a dict of lr_factor, .*, or None, got'):
        go_on_gently(_config(continued=given))
