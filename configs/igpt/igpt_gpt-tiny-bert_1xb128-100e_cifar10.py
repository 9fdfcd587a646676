"""A small iGPT, hidden pixels (BERT), 100 epochs of CIFAR-10.

    python tools/train.py configs/igpt/igpt_gpt-tiny-bert_1xb128-100e_cifar10.py

Cost: 39,000 steps of 128 sequences of 1024 pixels, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = 'igpt_gpt-tiny_1xb128-100e_cifar10.py'

model = dict(backbone=dict(causal=False), masker=dict(type='BernoulliMasker', ratio=0.15, patch_size=1))
