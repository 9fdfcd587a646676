"""CAE, ViT-B/16, 300 epochs.

    tools/dist_train.sh configs/cae/cae_vit-base_32xb64-300e_in1k.py 32

Needs the encoder of DALL-E, https://cdn.openai.com/dall-e/encoder.pkl, in data/dalle/.
Cost: 187,500 steps of 2048 images; half of the patches go through the encoder, the other half through the teacher, and
the tokenizer sees 112 px. Not measured here.
Expected: 83.6 % fine-tuned, 64.5 % linear, 74.0 % attentive top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 300

_half = dict(grid_size=14, depth=4, num_heads=12, layer_scale=0.1, drop_path_rate=0.1)
model = dict(
    type='CAE',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='CAEViT', arch='base', output='tokens', layer_scale=0.1, drop_path_rate=0.1),
    masker=dict(type='BlockwiseMasker', num_hidden=98, min_block=16, exact=True, patch_size=16),
    target=dict(type='TokenizerTarget', tokenizer=dict(type='DALLETokenizer', checkpoint='data/dalle/encoder.pkl')),
    neck=dict(type='CAERegressor', in_channels=768, embed_dim=768, **_half),
    head=dict(type='CAEHead', in_channels=768, num_words=8192, align_weight=2.0, **_half),
    momentum=0.0,
)

_views = [
    dict(type='AugmentedView', size=224, min_scale=0.08, interpolation='bicubic'),
    dict(type='SameView', size=112, interpolation='lanczos'),  # for the tokenizer
]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1.5e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, peak_in_warmup=True, end_factor=1 / 150)  # to 1e-5
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
