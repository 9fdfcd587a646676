"""Fine-tuning of BEiT, ViT-L/16, 50 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_vit-large_16xb64-50e_in1k_beit.py 16 \
        --pretrained CHECKPOINT

Protocol: mean of the patch tokens and a norm after it, relative positions of each block; AdamW with learning rate
1e-3 at batch 1024, decay 0.05, layer decay 0.75, 5 epochs of warm-up, cosine to 1e-6, stochastic depth 0.2,
RandAugment, erasing, mixup, CutMix, label smoothing (official README and code).
Published: top-1 85.2 % after pre-training on ImageNet-1k (paper); 86.0 % after ImageNet-22k (official README). The
checkpoints of ImageNet-22k expect images in [-1, 1], those of the recipes here ImageNet's statistics; for the former:
    --cfg-options model.data_preprocessor.mean=[127.5,127.5,127.5] model.data_preprocessor.std=[127.5,127.5,127.5] \
        train_dataloader.dataset.views.0.mean=[127.5,127.5,127.5] \
        train_dataloader.dataset.views.0.std=[127.5,127.5,127.5]
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

max_epochs = 50
model = dict(
    backbone=dict(type='BEiTViT', arch='large', relative_table='per-block', layer_scale=1e-5, drop_path_rate=0.2),
    head=dict(in_channels=1024),
)
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(layer_decay=0.75))
param_scheduler = dict(peak_in_warmup=True, end_factor=1e-3)
