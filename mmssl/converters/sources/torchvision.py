"""torchvision: residual networks and vision transformers."""

from mmssl.converters.source import RESNET, Source

_LAYER = r'encoder\.layers\.encoder_layer_(\d+)'

SOURCE = Source(
    patterns=(
        (r'(?:fc|heads)\..+', None),
        (f'({RESNET})', r'backbone.\1'),
        (r'class_token', 'backbone.cls_token'),
        (r'encoder\.pos_embedding', 'backbone.pos_embed'),
        (r'conv_proj\.(\w+)', r'backbone.patch_embed.proj.\1'),
        (r'encoder\.ln\.(\w+)', r'backbone.norm.\1'),
        (rf'{_LAYER}\.ln_([12])\.(\w+)', r'backbone.blocks.\1.norm\2.\3'),
        (rf'{_LAYER}\.self_attention\.in_proj_(\w+)', r'backbone.blocks.\1.attn.qkv.\2'),
        (rf'{_LAYER}\.self_attention\.out_proj\.(\w+)', r'backbone.blocks.\1.attn.proj.\2'),
        (rf'{_LAYER}\.mlp\.(?:0|linear_1)\.(\w+)', r'backbone.blocks.\1.mlp.fc1.\2'),
        (rf'{_LAYER}\.mlp\.(?:3|linear_2)\.(\w+)', r'backbone.blocks.\1.mlp.fc2.\2'),  # older files: linear_1, 2
    ),
)
