"""Fine-tuning of iTPN-L, pre-trained with a CLIP teacher, 50 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_itpn-large_64xb16-50e_in1k_itpn-clip.py 64 \
        --pretrained CHECKPOINT

Protocol: mean of the units and a norm after it; AdamW with learning rate 2e-4, decay 0.05, nominal layer decay 0.55
to the power 13 / 45, 5 epochs of warm-up, cosine to 1e-6, stochastic depth 0.25, RandAugment, erasing, mixup, CutMix,
label smoothing, images scaled to [-1, 1] (official code).
Published: top-1 87.0 % and 87.8 % with CLIP-B and CLIP-L as teacher (official repository).
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

max_epochs = 50
_half = (127.5, 127.5, 127.5)
_network = dict(type='HiViT', arch='itpn-large', output='mean', position=dict(bias='table'))
model = dict(
    data_preprocessor=dict(mean=_half, std=_half),
    backbone=dict(_delete_=True, **_network, layer_scale=0.1, drop_path_rate=0.25),
)
_view = dict(_base_._view, mean=_half, std=_half)
train_dataloader = dict(batch_size=16, dataset=dict(views=[_view]))
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay=0.55 ** (13 / 45)))
param_scheduler = dict(peak_in_warmup=True, end_factor=5e-3)
