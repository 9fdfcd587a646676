"""Linear probe on CIFAR-10, a tiny ViT with patches of 4 pixels, 50 epochs.

    python tools/train.py configs/benchmarks/classification/linear_vit-tiny_1xb512-50e_cifar10.py \
        --pretrained CHECKPOINT

Protocol: this project's: batch norm without factor and offset before the linear layer, SGD without decay, cosine,
crop and flip.
Published: no figure.
"""

_base_ = 'linear_resnet18_1xb512-50e_cifar10.py'

model = dict(
    backbone=dict(_delete_=True, type='VisionTransformer', arch='tiny', img_size=32, patch_size=4, position='sincos'),
    head=dict(in_channels=192),
)
