"""MNIST in its published idx files."""

from __future__ import annotations

from mmssl.datasets.fashion_mnist import FashionMNIST
from mmssl.registry import DATASETS


@DATASETS.register_module()
class MNIST(FashionMNIST):
    """MNIST's digits; arguments as for ``FashionMNIST``."""

    names = ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
