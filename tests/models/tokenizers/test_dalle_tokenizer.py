"""DALL-E's encoder: sizes, weights from files, checkpoints without them."""

from __future__ import annotations

import sys
from collections import OrderedDict
from shutil import copy
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d
from torch.testing import assert_close

from mmssl.models.tokenizers.dalle_tokenizer import DALLETokenizer, map_pixels
from mmssl.utils.errors import UserError

SMALL = dict(checkpoint=None, width=8, num_tokens=16)


def test_pixels_of_the_specification():
    assert_close(map_pixels(torch.tensor([0.0, 1.0])), torch.tensor([0.1, 0.9]))


def test_a_word_per_place_of_the_official_size():
    with torch.device('meta'):
        tokenizer = DALLETokenizer(None)
    assert sum(p.numel() for p in tokenizer.parameters()) == 53_786_240
    assert DALLETokenizer(**SMALL)(torch.rand(2, 3, 112, 112)).shape == (2, 196)


class Conv2d(nn.Module):
    """A convolution with OpenAI's names of parameters."""

    def __init__(self, n_in: int, n_out: int, kw: int) -> None:
        super().__init__()
        self.kw, self.device = kw, torch.device('cpu')
        self.w, self.b = nn.Parameter(torch.randn(n_out, n_in, kw, kw)), nn.Parameter(torch.randn(n_out))

    def forward(self, x):
        return conv2d(x, self.w, self.b, padding=(self.kw - 1) // 2)


class EncoderBlock(nn.Module):
    def __init__(self, n_in: int, n_out: int, n_layers: int) -> None:
        super().__init__()
        self.post_gain, hidden = 1 / n_layers**2, n_out // 4
        self.id_path = Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        parts, sizes = OrderedDict(), [(n_in, hidden, 3), *[(hidden, hidden, 3)] * 2, (hidden, n_out, 1)]
        for i, (before, after, kernel) in enumerate(sizes, 1):
            parts |= {f'relu_{i}': nn.ReLU(), f'conv_{i}': Conv2d(before, after, kernel)}
        self.res_path = nn.Sequential(parts)

    def forward(self, x):
        return self.id_path(x) + self.post_gain * self.res_path(x)


class Encoder(nn.Module):
    """The architecture of the published file, small, to be pickled under the names of its package."""

    def __init__(self, width: int = 8, num_tokens: int = 16) -> None:
        super().__init__()
        parts, channels = [('input', Conv2d(3, width, 7))], width
        for group in range(4):
            outputs = width * 2**group
            blocks = [('block_1', EncoderBlock(channels, outputs, 8)), ('block_2', EncoderBlock(outputs, outputs, 8))]
            pool = [('pool', nn.MaxPool2d(kernel_size=2))] if group < 3 else []
            parts.append((f'group_{group + 1}', nn.Sequential(OrderedDict(blocks + pool))))
            channels = outputs
        output = OrderedDict(relu=nn.ReLU(), conv=Conv2d(channels, num_tokens, 1))
        self.blocks = nn.Sequential(OrderedDict([*parts, ('output', nn.Sequential(output))]))

    def forward(self, x):
        return self.blocks(x)


@pytest.fixture
def pickled(tmp_path, monkeypatch):
    """An encoder, and the file it is pickled in as OpenAI did it; its package is gone again when the file is read."""
    encoder, names = Encoder(), {'encoder': (Encoder, EncoderBlock), 'utils': (Conv2d,)}
    with monkeypatch.context() as context:
        for module, classes in names.items():
            package = ModuleType(f'dall_e.{module}')
            context.setitem(sys.modules, package.__name__, package)
            for cls in classes:
                context.setattr(cls, '__module__', package.__name__)
                setattr(package, cls.__name__, cls)
        context.setitem(sys.modules, 'dall_e', ModuleType('dall_e'))
        torch.save(encoder, tmp_path / 'encoder.pkl')
    return encoder, tmp_path / 'encoder.pkl'


def test_the_published_file_is_read_without_its_package(pickled):
    encoder, file = pickled
    tokenizer = DALLETokenizer(str(file), width=8, num_tokens=16)
    before = tokenizer.logits(torch.rand(1, 3, 16, 16))
    tokenizer.init_weights()
    pixels = torch.rand(2, 3, 32, 32)
    expected = encoder(0.8 * pixels + 0.1)
    assert_close(tokenizer.logits(pixels), expected)
    assert torch.equal(tokenizer(pixels), expected.argmax(dim=1).flatten(1))
    assert before.shape == (1, 16, 2, 2)


def test_weights_may_have_an_address(pickled, tmp_path, monkeypatch):
    encoder, file = pickled
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', lambda url, to, progress: copy(file, to))
    tokenizer = DALLETokenizer('https://example.org/encoder.pkl?x=1', width=8, num_tokens=16)
    tokenizer.init_weights()
    pixels = torch.rand(1, 3, 32, 32)
    assert_close(tokenizer.logits(pixels), encoder(0.8 * pixels + 0.1))
    assert len(list((tmp_path / 'hub' / 'checkpoints').glob('*/encoder.pkl'))) == 1


def test_a_state_dict_will_do(pickled, tmp_path):
    encoder, _ = pickled
    torch.save(encoder.state_dict(), tmp_path / 'state.pth')
    tokenizer = DALLETokenizer(**SMALL)
    tokenizer.load_weights(tmp_path / 'state.pth')
    pixels = torch.rand(1, 3, 32, 32)
    assert_close(tokenizer.logits(pixels), encoder(map_pixels(pixels)))


def test_a_missing_file_says_where_it_is_from_and_which_option_names_it(tmp_path):
    tokenizer = DALLETokenizer(str(tmp_path / 'none.pkl'))
    with pytest.raises(UserError, match=r'none\.pkl.*cdn\.openai\.com.*model\.target\.tokenizer\.checkpoint=FILE'):
        tokenizer.init_weights()


def test_other_files_are_refused(tmp_path):
    torch.save({'weight': torch.zeros(3)}, tmp_path / 'other.pth')
    with pytest.raises(UserError, match='does not hold the encoder of DALL-E: names differ'):
        DALLETokenizer(**SMALL).load_weights(tmp_path / 'other.pth')
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / 'module.pkl')
    with pytest.raises(UserError, match='does not hold the encoder of DALL-E'):
        DALLETokenizer(**SMALL).load_weights(tmp_path / 'module.pkl')


def test_checkpoints_do_without_the_weights():
    model = nn.Sequential(DALLETokenizer(**SMALL), nn.Linear(2, 2))
    assert model.state_dict().keys() == {'1.weight', '1.bias'}
    model.load_state_dict(model.state_dict(), strict=True)
    with pytest.raises(RuntimeError, match=r'1\.bias'):
        model.load_state_dict({'1.weight': torch.zeros(2, 2)}, strict=True)
