"""iGPT-S, hidden pixels (BERT), images of 32 px, 100 epochs.

    tools/dist_train.sh configs/igpt/igpt_gpt-small-bert_8xb16-100e_in1k.py 8

Cost: 1,000,900 steps of 128 sequences of 1024 pixels. Not measured here.
Expected: no published figure.
"""

_base_ = 'igpt_gpt-small_8xb16-100e_in1k.py'

model = dict(backbone=dict(causal=False), masker=dict(type='BernoulliMasker', ratio=0.15, patch_size=1))
