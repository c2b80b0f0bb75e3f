"""Semantic segmentation: the network that SeAFusion is trained with, its losses and figures."""

from ldfusion.segmentation.network import SegmentationNetwork, load_segmenter

__all__ = ["SegmentationNetwork", "load_segmenter"]
