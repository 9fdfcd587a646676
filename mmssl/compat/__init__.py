"""Use of mmdet and mmseg without mmcv's compiled operators."""
