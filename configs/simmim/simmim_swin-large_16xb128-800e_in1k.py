"""SimMIM, Swin-L with windows of 12, 192 px, 800 epochs.

    tools/dist_train.sh configs/simmim/simmim_swin-large_16xb128-800e_in1k.py 16

Cost: 500,000 steps of 2048 images of 192 px, all patches encoded. Not measured here.
Expected: 85.4 % fine-tuned at 224 px (official README).
"""

_base_ = 'simmim_swin-base_16xb128-800e_in1k.py'

model = dict(backbone=dict(name='swin_large_patch4_window12_384', window_size=12), neck=dict(in_channels=1536))
