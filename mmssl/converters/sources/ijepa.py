"""facebookresearch/ijepa: context encoder, predictor and target encoder, which is the one to use afterwards."""

from mmssl.converters.source import Source

VIT = r'(pos_embed|patch_embed\.proj\.\w+|norm\.\w+|blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.\w+)'

SOURCE = Source(
    patterns=(
        (rf'encoder\.(?:module\.)?({VIT})', r'backbone.\1'),
        (rf'target_encoder\.(?:module\.)?({VIT})', r'teacher.backbone.\1'),
        (r'predictor\.(?:module\.)?(mask_token)', r'neck.\1'),
        (r'predictor\.(?:module\.)?predictor_(pos_embed|embed\.\w+|norm\.\w+|blocks\.\S+)', r'neck.\1'),
        (r'predictor\.(?:module\.)?predictor_proj\.(\w+)', r'neck.predict.\1'),
    ),
)
