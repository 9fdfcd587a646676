"""I-JEPA, ViT-H/16 on images of 448 pixels, 300 epochs.

    tools/dist_train.sh configs/ijepa/ijepa_vit-huge16-448_16xb128-300e_in1k.py 16

Cost: 187,500 steps of 2048 images of 784 patches; the official run used 128 GPUs with 16 images each. Not measured
here.
Expected: no figure in the official repository, which shows plots; see the card.
"""

_base_ = 'ijepa_vit-huge_16xb128-300e_in1k.py'

model = dict(
    backbone=dict(img_size=448, patch_size=16),
    masker=dict(patch_size=16),
    neck=dict(grid_size=28),
)
train_dataloader = dict(dataset=dict(views=[dict(_base_._views[0], size=448)]))
_plain = dict(resize=512, size=448)
val_dataloader = dict(dataset=dict(transform=_plain))
val_cfg = dict(bank_dataloader=dict(dataset=dict(transform=_plain)))
