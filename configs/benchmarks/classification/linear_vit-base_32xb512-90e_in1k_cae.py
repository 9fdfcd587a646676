"""Linear probe of CAE, ViT-B/16, 90 epochs: the class token, the protocol of MAE.

    tools/dist_train.sh configs/benchmarks/classification/linear_vit-base_32xb512-90e_in1k_cae.py 32 \
        --pretrained CHECKPOINT

Protocol: class token after the final norm, batch norm without factor and offset before the linear layer; LARS with
learning rate 0.1 x batch / 256 without decay, batch 16384, 10 epochs of warm-up, cosine, crop and flip.
Published: top-1 64.5 %, 68.9 % and 70.3 % after 300, 800 and 1600 epochs of pre-training (official README).
"""

_base_ = 'linear_vit-base_32xb512-90e_in1k_mae.py'

model = dict(backbone=dict(_delete_=True, type='CAEViT', arch='base'))
