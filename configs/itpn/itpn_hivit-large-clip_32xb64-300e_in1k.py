"""iTPN-L, features of CLIP ViT-B/16 as target, 300 epochs.

    tools/dist_train.sh configs/itpn/itpn_hivit-large-clip_32xb64-300e_in1k.py 32

The teacher's weights are OpenAI's ``ViT-B-16.pt`` in ``data/clip/``, or those of timm:

    --cfg-options model.target.checkpoint=None model.target.pretrained=True

Cost: 187,500 steps of 2048 images, all units encoded by the student and by the teacher; the official command has 64
GPUs. Not measured here.
Expected: 87.0 % fine-tuned top-1 (official table).
"""

_base_ = 'itpn_hivit-base-clip_32xb64-300e_in1k.py'

model = dict(
    backbone=dict(arch='itpn-large', early_block=30, drop_path_rate=0.2),
    neck=dict(
        pyramid=dict(in_channels=(192, 384, 768)),
        embed_dim=768,
        num_heads=12,
        drop_path_rates=(0.15813953488372096, 0.16279069767441862),
    ),
)
