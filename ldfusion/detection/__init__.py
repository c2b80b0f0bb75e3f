"""Object detection in visible, infrared and fused images: our own small network, and others behind one interface."""

from ldfusion.detection.base import Detections, Detector
from ldfusion.detection.load import load_detector
from ldfusion.detection.network import CentreDetector

__all__ = ["CentreDetector", "Detections", "Detector", "load_detector"]
