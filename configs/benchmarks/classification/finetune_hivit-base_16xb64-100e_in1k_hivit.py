"""Fine-tuning of HiViT-B, pre-trained as MAE, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_hivit-base_16xb64-100e_in1k_hivit.py 16 \
        --pretrained CHECKPOINT

Protocol: mean of the units and a norm after it, relative positions that start at zero; AdamW with learning rate 5e-4 x
batch / 256, decay 0.05, layer decay 0.85, 5 epochs of warm-up, cosine to 1e-6, stochastic depth 0.2, RandAugment,
erasing, mixup, CutMix, label smoothing (official code).
Published: top-1 84.6 % after 1600 epochs of pre-training (official README).
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

model = dict(
    backbone=dict(
        _delete_=True, type='HiViT', arch='base', output='mean', position=dict(bias='table'), drop_path_rate=0.2
    ),
    head=dict(in_channels=512),
)
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.85))
