"""MNIST in its published format, idx files."""

from __future__ import annotations

from mmssl.datasets.fashion_mnist import FashionMNIST
from mmssl.registry import DATASETS


@DATASETS.register_module()
class MNIST(FashionMNIST):
    """MNIST's digits; for the arguments see ``FashionMNIST``."""

    names = ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
