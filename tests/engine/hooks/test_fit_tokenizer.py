"""Words are fitted to training images once, before the first step."""

from __future__ import annotations

import torch

from mmssl.models.layers.patches import patchify
from tests.support.interruption import assert_resume_is_exact
from tests.support.tiny_run import build_runner, tiny_config, train

MODEL = dict(
    type='BEiT',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='BEiTViT', arch=dict(embed_dim=24, depth=1, num_heads=2), img_size=16, patch_size=4, output='tokens'
    ),
    masker=dict(type='BlockwiseMasker', num_hidden=6, min_block=2, patch_size=4),
    target=dict(type='TokenizerTarget', tokenizer=dict(type='PatchCodebook', num_tokens=20, patch_size=4)),
    neck=dict(type='PatchPredictor', in_channels=24, out_channels=20),
    head=dict(type='MaskedCrossEntropyLoss'),
)
HOOK = dict(type='FitTokenizerHook', num_images=10)


ONE_VIEW = dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=16)])
CHANGES = dict(
    model=MODEL,
    train_dataloader=dict(tiny_config('')['train_dataloader'], dataset=ONE_VIEW),
    optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
    custom_hooks=[HOOK],
)


def test_words_are_typical_patches_of_the_training_images(tmp_path):
    runner = train(tiny_config(tmp_path, **CHANGES, max_epochs=1))
    tokenizer = runner.model.target.tokenizer
    batch = [runner.train_dataloader.dataset[0, row] for row in range(26)]
    pixels = torch.stack([item['inputs'][0] for item in batch]) / 255
    assert tokenizer(pixels).unique().numel() > 10
    distance = torch.cdist(patchify(pixels, 4).flatten(0, 1), tokenizer.codes).min(dim=1).values.mean()
    unfitted = torch.cdist(patchify(pixels, 4).flatten(0, 1), torch.rand(20, 48)).min(dim=1).values.mean()
    assert distance < 0.8 * unfitted


def test_words_of_loaded_weights_are_kept(tmp_path):
    state = build_runner(tiny_config(tmp_path / 'first', **CHANGES)).model.state_dict()
    state['target.tokenizer.codes'] = codes = torch.rand(20, 48)
    torch.save(dict(state_dict=state), tmp_path / 'model.pth')
    options = dict(CHANGES, load_from=str(tmp_path / 'model.pth'), max_epochs=1)
    runner = train(tiny_config(tmp_path / 'second', **options))
    assert torch.equal(runner.model.target.tokenizer.codes, codes)


def test_a_resumed_run_keeps_its_words(tmp_path):
    assert_resume_is_exact(tmp_path, **CHANGES)
