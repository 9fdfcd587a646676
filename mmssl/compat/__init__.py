"""mmdet and mmseg without compiled operators."""
