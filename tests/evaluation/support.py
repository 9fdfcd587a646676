"""A small algorithm-like model and dataset for the tests of extraction and loops."""

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler


class Dots(Dataset):
    """Images whose first pixel is their index; class = parity."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict:
        image = torch.zeros(3, 4, 4, dtype=torch.uint8)
        image[:, 0, 0] = index
        image[0, 1:] = 200 * (index % 2)
        return dict(inputs=image, data_samples=dict(index=index, label=index % 2))


class ToFloat(BaseDataPreprocessor):
    """Bytes to floats."""

    def forward(self, data: dict, training: bool = False) -> dict:
        data = self.cast_data(data)
        return dict(inputs=data['inputs'].float(), data_samples=data['data_samples'])


class Pixels(BaseModel):
    """Features are the pixels, through a dropout and a batch norm that must be off."""

    def __init__(self) -> None:
        super().__init__(data_preprocessor=ToFloat())
        self.backbone = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3))
        self.scale = nn.Parameter(torch.ones(1))

    def extract_feat(self, images: Tensor) -> Tensor:
        return self.backbone(images).flatten(1)

    def forward(self, inputs: Tensor, data_samples: dict | None = None, mode: str = 'tensor') -> dict | Tensor:
        features = self.extract_feat(inputs)
        return dict(loss=self.scale * features.square().mean()) if mode == 'loss' else features


def loader(size: int, sampler: Sampler | None = None, batch_size: int = 4) -> DataLoader:
    return DataLoader(Dots(size), batch_size=batch_size, sampler=sampler)
