"""What other programs can do with a fused image: segmentation, detection, depth."""
