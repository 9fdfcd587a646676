"""Fine-tuning of ConvMAE, ConvViT-B, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_convvit-base_32xb32-100e_in1k_convmae.py 32 \
        --pretrained CHECKPOINT

Protocol: mean of the tokens and a norm after it; AdamW with learning rate 5e-4 x batch / 256, decay 0.05, layer decay
0.65 over the blocks of stage 3, 5 epochs of warm-up, cosine to 1e-6, stochastic depth 0.1, RandAugment, erasing, mixup,
CutMix, label smoothing (official FINETUNE.md and code).
Published: top-1 85.0 % after 1600 epochs of pre-training (official README).
Note: the positions, fixed in pre-training, train here, as in the official code.
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

model = dict(backbone=dict(_delete_=True, type='ConvViT', position='learned', final_norm=False, drop_path_rate=0.1))
