"""BEiT, ViT-B/16, 800 epochs.

    tools/dist_train.sh configs/beit/beit_vit-base_16xb128-800e_in1k.py 16

Needs the encoder of DALL-E, https://cdn.openai.com/dall-e/encoder.pkl, in data/dalle/.
Cost: 500,000 steps of 2048 images, all patches encoded, and the tokenizer on 112 px. Not measured here.
Expected: 83.2 % fine-tuned (the paper, which pre-trains on ImageNet-1k).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 800

model = dict(
    type='BEiT',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='BEiTViT', arch='base', output='tokens', layer_scale=0.1, drop_path_rate=0.1),
    masker=dict(type='BlockwiseMasker', num_hidden=75, min_block=16, patch_size=16),
    target=dict(type='TokenizerTarget', tokenizer=dict(type='DALLETokenizer', checkpoint='data/dalle/encoder.pkl')),
    neck=dict(type='PatchPredictor', in_channels=768, out_channels=8192, bound=0.02),
    head=dict(type='MaskedCrossEntropyLoss'),
)

_views = [
    dict(
        type='AugmentedView',
        size=224,
        min_scale=0.08,
        interpolation='bicubic',
        jitter=(0.4, 0.4, 0.4, 0.0),
        jitter_prob=1.0,
    ),
    dict(type='SameView', size=112, interpolation='lanczos'),  # for the tokenizer
]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1.5e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0), custom_keys=dict(cls_token=dict(decay_mult=0))),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, peak_in_warmup=True, end_factor=1 / 150)  # to 1e-5
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
