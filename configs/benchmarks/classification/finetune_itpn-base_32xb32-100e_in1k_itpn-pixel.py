"""Fine-tuning of iTPN-B, pre-trained on pixels, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_itpn-base_32xb32-100e_in1k_itpn-pixel.py 32 \
        --pretrained CHECKPOINT

Protocol: mean of the units and a norm after it, relative positions that start at zero; AdamW with learning rate 4e-4 x
batch / 256, decay 0.05, nominal layer decay 0.60, which the official code takes to the power 13 / 31, 5 epochs of
warm-up, cosine to 5e-6, stochastic depth 0.15, RandAugment, erasing, mixup, CutMix, label smoothing (official code).
Published: top-1 85.1 % and 85.5 % after 400 and 1600 epochs of pre-training (official repository).
Note: one of the targets of the paper is not in the released code, so its models may fall short of these figures.
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

model = dict(
    backbone=dict(
        _delete_=True, type='HiViT', arch='itpn-base', output='mean', position=dict(bias='table'), drop_path_rate=0.15
    ),
    head=dict(in_channels=512),
)
optim_wrapper = dict(optimizer=dict(lr=1.6e-3), paramwise_cfg=dict(layer_decay=0.60 ** (13 / 31)))
param_scheduler = dict(end_factor=3.125e-3)
