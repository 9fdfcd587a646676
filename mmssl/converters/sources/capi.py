"""facebookresearch/capi: released backbones with their predictor, and checkpoints of the training."""

from mmssl.converters.source import Source

_BLOCK = (
    (r'residual([12])\.norm\.weight', r'norm\2.weight'),
    (r'residual1\.fn\.([qkv])_proj\.weight', r'attn.\2.weight'),
    (r'residual1\.fn\.(proj\.weight)', r'attn.\2'),
    (r'residual1\.fn\.rope\.freqs', r'attn.frequencies'),
    (r'residual2\.fn\.(fc[12]\.weight)', r'mlp.\2'),
)
_NETWORK = (
    (r'registers', 'backbone.reg_token'),
    (r'patch_embed\.(\w+)', r'backbone.patch_embed.proj.\1'),
    (r'mask_token', 'neck.mask_token'),
    *(
        (rf'{part}\.blocks\.(\d+)\.{theirs}', rf'{ours}.blocks.\1.{name}')
        for part, ours in (('encoder', 'backbone'), ('decoder', 'neck'))
        for theirs, name in _BLOCK
    ),
)
_CLUSTERS = ((r'last_layer\.weight_g', 'neck.clusters.gain'), (r'last_layer\.weight_v', 'neck.clusters.direction'))

SOURCE = Source(
    own_name=r'(?:teacher\.)?backbone\.(?:encoder|decoder)\.blocks\.\d+\.residual[12]\..+',
    patterns=(
        (r'teacher\.head\.layer\.(\w+)', r'head.clusters.\1'),
        *((rf'(?:student\.)?head\.{theirs}', ours) for theirs, ours in _CLUSTERS),
        *((rf'student_ema\.head\.{theirs}', f'teacher.{ours}') for theirs, ours in _CLUSTERS),
        *((rf'(?:student\.)?backbone\.{theirs}', ours) for theirs, ours in _NETWORK),
        # The teacher's network has two names in a checkpoint.
        *((rf'(?:teacher|student_ema)\.backbone\.{theirs}', f'teacher.{ours}') for theirs, ours in _NETWORK),
    ),
)
