"""Fine-tuning of MAE, ViT-H/14, 50 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_vit-huge_32xb32-50e_in1k_mae.py 32 \
        --pretrained CHECKPOINT

Protocol: mean of the patch tokens and a norm after it; AdamW with learning rate 1e-3 x batch / 256, decay 0.05, layer
decay 0.75, 5 epochs of warm-up, cosine to 1e-6, stochastic depth 0.3, RandAugment, erasing, mixup, CutMix, label
smoothing (official code).
Published: top-1 86.9 % of the released checkpoint (official FINETUNE.md).
Note: the positions, fixed in pre-training, train here, as in the official code.
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

max_epochs = 50
model = dict(backbone=dict(arch='huge', patch_size=14, drop_path_rate=0.3), head=dict(in_channels=1280))
optim_wrapper = dict(optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay=0.75))
param_scheduler = dict(end_factor=2.5e-4)
