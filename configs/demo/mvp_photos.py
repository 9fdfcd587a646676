"""MVP's objective on photo patches: ``make demo METHOD=mvp``.

As in the demo of EVA, but with BEiT's network, plain features as target, and a loss of hidden patches alone. The
teacher learns with SimCLR, because there is no text here that a CLIP model could have learnt from.
"""

_base_ = 'eva_photos.py'

model = dict(
    backbone=dict(type='BEiTViT', layer_scale=0.1),
    target=dict(standardize=False),
    neck=dict(bound=0.02),
    head=dict(hidden_only=True),
)
