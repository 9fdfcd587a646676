"""Fine-tuning of iTPN-L, pre-trained on pixels, 50 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_itpn-large_32xb32-50e_in1k_itpn-pixel.py 32 \
        --pretrained CHECKPOINT

Protocol: mean of the units and a norm after it, relative positions that start at zero; AdamW with learning rate 1e-3 x
batch / 256, decay 0.05, nominal layer decay 0.55, which the official code takes to the power 13 / 45, 5 epochs of
warm-up, cosine to 5e-6, stochastic depth 0.2, RandAugment, erasing, mixup, CutMix, label smoothing (official code).
Published: top-1 86.3 % and 86.7 % after 400 and 1600 epochs of pre-training (official repository).
Note: one of the targets of the paper is not in the released code, so its models may fall short of these figures.
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

max_epochs = 50
model = dict(
    backbone=dict(
        _delete_=True, type='HiViT', arch='itpn-large', output='mean', position=dict(bias='table'), drop_path_rate=0.2
    )
)
optim_wrapper = dict(optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay=0.55 ** (13 / 45)))
param_scheduler = dict(end_factor=1.25e-3)
