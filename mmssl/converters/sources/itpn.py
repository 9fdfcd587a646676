"""sunsmarterjie/iTPN, pixel target: encoder, pyramid, decoder; classifiers; detection, segmentation backbones."""

from mmssl.converters.source import HIVIT, ITPN_PYRAMID, Source

# The official order of levels is from coarse to fine, mmssl's from fine to coarse.
LEVELS = tuple((rf'decoder_embed\.{theirs}\.(.+)', rf'neck.embed.levels.{2 - theirs}.\1') for theirs in range(3))
ENCODER = (
    (r'(?:.+\.)?relative_position_index', None),  # computed from the grid
    (r'fc_norm\.(\w+)', r'head.norm.\1'),
    (r'head\.(\w+)', r'head.fc.\1'),
    (rf'(?:backbone\.)?{ITPN_PYRAMID}', r'neck.pyramid.\1'),
    (rf'(?:backbone\.)?({HIVIT})', r'backbone.\1'),
)

SOURCE = Source(
    aliases=('itpn_pixel',),
    patterns=(
        *LEVELS,
        (r'(mask_token)', r'neck.decoder.\1'),
        (r'decoder_(pos_embed|norm\.\w+|blocks\..+)', r'neck.decoder.\1'),
        (r'decoder_pred\.(\w+)', r'neck.decoder.predict.\1'),
        *ENCODER,
    ),
)
