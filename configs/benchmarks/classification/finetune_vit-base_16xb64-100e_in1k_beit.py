"""Fine-tuning of BEiT, ViT-B/16, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_vit-base_16xb64-100e_in1k_beit.py 16 \
        --pretrained CHECKPOINT

Protocol: mean of the patch tokens and a norm after it, relative positions of each block; AdamW with learning rate
4e-3 at batch 1024, decay 0.05, layer decay 0.65, 20 epochs of warm-up, cosine to 1e-6, stochastic depth 0.1,
RandAugment, erasing, mixup, CutMix, label smoothing (official README and code).
Published: top-1 83.2 % after pre-training on ImageNet-1k (paper); 83.7 % after ImageNet-22k (official README). The
checkpoints of ImageNet-22k expect images in [-1, 1], those of the recipes here ImageNet's statistics; for the former:
    --cfg-options model.data_preprocessor.mean=[127.5,127.5,127.5] model.data_preprocessor.std=[127.5,127.5,127.5] \
        train_dataloader.dataset.views.0.mean=[127.5,127.5,127.5] \
        train_dataloader.dataset.views.0.std=[127.5,127.5,127.5]
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

model = dict(backbone=dict(type='BEiTViT', relative_table='per-block'))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
param_scheduler = dict(warmup_epochs=20, peak_in_warmup=True, end_factor=2.5e-4)
