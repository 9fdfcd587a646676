"""Linear probe of MAE, ViT-L/16, 50 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_vit-large_32xb512-50e_in1k_mae.py 32 \
        --pretrained CHECKPOINT

Protocol: class token after the final norm, batch norm without factor and offset before the linear layer; LARS with
learning rate 0.1 x batch / 256 without decay, batch 16384, 10 epochs of warm-up, cosine, clamped bicubic crop and flip
(official code).
Published: top-1 76.0 % of the released checkpoint (official FINETUNE.md).
Note: the batch norm uses the global batch here, and the 512 images of a GPU in the official code.
"""

_base_ = 'linear_vit-base_32xb512-90e_in1k_mae.py'

max_epochs = 50
model = dict(backbone=dict(arch='large'), head=dict(in_channels=1024))
