"""DeepCluster, VGG-16 on Sobel gradients, 200 epochs, 10,000 clusters: the official script.

    python tools/train.py configs/deepcluster/deepcluster_vgg16-sobel_1xb256-200e_in1k.py

Cost: 1,000,800 steps of 256 images and 200 labellings of 1,281,167 images, on one GPU. Not measured here.
Expected: no verified figure.
"""

_base_ = 'deepcluster_alexnet-sobel_1xb256-200e_in1k.py'

model = dict(backbone=dict(type='VGG16', fc=dict(dropout=(0.0, 0.5))))
