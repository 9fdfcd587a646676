"""sunsmarterjie/iTPN, Fast-iTPN: classifiers; 1 x 1 and 2 x 2 convolutions become linear layers."""

from torch import Tensor

from mmssl.converters.source import Source, Tensors


def _to_linear(weight: Tensor) -> Tensor:
    """Returns (out, columns * rows * in), the order of ``PatchMerge``, for a weight (out, in, rows, columns)."""
    return weight.permute(0, 3, 2, 1).flatten(1)


def _prepare(tensors: Tensors) -> Tensors:
    return {
        name: _to_linear(tensor) if name.startswith('blocks.') and tensor.ndim == 4 else tensor
        for name, tensor in tensors.items()
    }


SOURCE = Source(
    aliases=('fast-itpn',),
    prepare=_prepare,
    patterns=(
        (r'pos_embed', 'backbone.absolute_pos_embed'),
        (r'(patch_embed\.proj\.\w+)', r'backbone.\1'),
        (r'(blocks\.\d+\.(?:gamma_[12]|(?:norm[12]?|reduction)\.\w+))', r'backbone.\1'),
        (r'(blocks\.\d+\.mlp\.(?:fc[12]|w[123]|ffn_ln)\.\w+)', r'backbone.\1'),
        (r'(blocks\.\d+\.attn\.(?:[qv]_bias|[qkv]_proj\.weight|proj\.\w+))', r'backbone.\1'),
        (r'fc_norm\.(\w+)', r'head.norm.\1'),
        (r'head\.(\w+)', r'head.fc.\1'),
    ),
)
