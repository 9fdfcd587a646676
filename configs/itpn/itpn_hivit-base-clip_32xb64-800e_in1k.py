"""iTPN-B, features of CLIP ViT-B/16 as target, 800 epochs.

    tools/dist_train.sh configs/itpn/itpn_hivit-base-clip_32xb64-800e_in1k.py 32

The teacher's weights are OpenAI's ``ViT-B-16.pt`` in ``data/clip/``, or those of timm:

    --cfg-options model.target.checkpoint=None model.target.pretrained=True

Cost: 500,000 steps of 2048 images, all units encoded by the student and by the teacher; the official command has 64
GPUs. Not measured here.
Expected: 86.2 % fine-tuned top-1 (official table).
"""

_base_ = 'itpn_hivit-base-clip_32xb64-300e_in1k.py'

max_epochs = 800
