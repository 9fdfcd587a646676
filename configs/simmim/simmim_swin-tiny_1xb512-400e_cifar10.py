"""SimMIM, a Swin of three stages with patches of 2 pixels, 400 epochs of CIFAR-10.

    python tools/train.py configs/simmim/simmim_swin-tiny_1xb512-400e_cifar10.py

Cost: 38,800 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = 'simmim_vit-tiny_1xb512-400e_cifar10.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        name='swin_tiny_patch4_window7_224',
        pool=False,
        img_size=32,
        patch_size=2,
        window_size=4,
        embed_dim=48,
        depths=(2, 2, 6),
        num_heads=(2, 4, 8),
        drop_path_rate=0.0,
    ),
    masker=dict(patch_size=2),
    neck=dict(stride=8),
    target=dict(patch_size=2),
)
_undecayed = dict(mask_token=dict(decay_mult=0), relative_position_bias_table=dict(decay_mult=0))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(_delete_=True, **_undecayed)))
