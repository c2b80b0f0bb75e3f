"""`LDFusionPipeline`: a visible and an infrared image in; a fused image, depth and a sentence out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, UNet2DModel
from diffusers.utils import logging as diffusers_logging
from torch import Tensor, nn

from captioning.encoder import fit
from captioning.network import DepthCaptioner
from depth.estimator import DepthEstimator, StudentEstimator, enlarge, load_estimator, wrap_network
from depth.twin import TwinDepth
from ldfusion import weights
from ldfusion.diffusion.features import TIMESTEPS, FeatureExtractor, pipeline_noise
from ldfusion.errors import InputError
from ldfusion.fusion.base import carried, check_output_type, prepare, small_copies
from ldfusion.fusion.decoder import FusionDecoder
from ldfusion.fusion.fuser import Fuser
from ldfusion.fusion.guidance import Guidance, GuidedFrames
from ldfusion.fusion.tone import Tone, tone_controls
from ldfusion.io.convert import from_batch
from ldfusion.language.text import TextEncoder
from ldfusion.language.tokenizer import check_prompt, check_prompts
from ldfusion.output import FusionOutput
from ldfusion.registration.methods import Registrar
from ldfusion.types import Images, Pair

DEFAULT_TIMESTEPS = list(TIMESTEPS)  # a list, as it comes back from a saved configuration


class LDFusionPipeline(DiffusionPipeline):
    """Language- and depth-guided fusion of visible and infrared images (after Zhang et al. 2025, arXiv 2503.08676).

    Args:
        denoiser: four-channel noise-prediction network.
        decoder: features and sentence to the fused image.
        text_encoder: sentence to text feature.
        depth_visible, depth_infrared: `depth.DepthStudent`, or any `AutoModelForDepthEstimation` of transformers.
        captioner: pair and depth to a sentence.
        schedule: kind of the noise schedule the denoiser was trained with.
        timesteps: noise levels that features are taken at, counted from 1.
    """

    name = "ldfusion"
    model_cpu_offload_seq = "depth_visible->depth_infrared->captioner->text_encoder->denoiser->decoder"

    def __init__(
        self,
        denoiser: UNet2DModel,
        decoder: FusionDecoder,
        text_encoder: TextEncoder,
        depth_visible: nn.Module,
        depth_infrared: nn.Module,
        captioner: DepthCaptioner,
        schedule: str = "linear",
        timesteps: list = DEFAULT_TIMESTEPS,
    ) -> None:
        super().__init__()
        self.register_modules(
            denoiser=denoiser,
            decoder=decoder,
            text_encoder=text_encoder,
            depth_visible=depth_visible,
            depth_infrared=depth_infrared,
            captioner=captioner,
        )
        self.register_to_config(schedule=schedule, timesteps=list(timesteps))
        for module in (denoiser, decoder):
            module.to(memory_format=torch.channels_last)
        self.fuser = Fuser(FeatureExtractor(denoiser, schedule, timesteps), decoder)
        estimators: list[DepthEstimator] = [wrap_network(net) for net in (depth_visible, depth_infrared)]
        self.twin = TwinDepth(*estimators)
        for part in (self.fuser, self.twin, text_encoder, captioner):
            part.requires_grad_(False).eval()
        self.weights_id = "unsaved"
        self.guidance = Guidance()

    @classmethod
    def from_pretrained(cls, source: str | Path | None = None, **kwargs: Any) -> LDFusionPipeline:
        """The embedded default (``None``), or a pipeline from a folder or a hub id.

        Raises:
            InputError: nothing usable there; the line says what is missing and how to get the default.
        """
        if not isinstance(source, str | Path | None):
            raise InputError(f"weights: {source!r} is no path; give a folder written by save_pretrained, or a hub id")
        folder = weights.FOLDER if source is None else Path(source)
        local = folder.is_dir()
        if folder.is_file():
            raise InputError(f"weights '{source}' is a file; give the folder written by save_pretrained that holds it")
        if local and not (folder / "model_index.json").is_file():
            raise InputError(f"{folder}: no model_index.json there; give a folder written by save_pretrained, or none")
        for name in ("torch_dtype", "dtype"):
            _check_precision(kwargs.get(name))
        kwargs.setdefault("use_safetensors", True)
        if not sys.stderr.isatty():
            diffusers_logging.disable_progress_bar()
        try:
            pipe: LDFusionPipeline = super().from_pretrained(str(folder if local else source), **kwargs)
        except (OSError, ValueError) as error:
            reason = str(error).split(". ", 1)[0].splitlines()[0]
            why = "cannot be loaded" if local else "neither a folder nor a model that could be had from the hub"
            raise InputError(
                f"weights '{source}': {why} ({reason}); without --weights the embedded default is used"
            ) from error
        weights.check_components(pipe.components, folder if local else None)
        pipe.weights_id = (
            f"embedded:{weights.digest(*(folder / name for name in pipe.components))[:8]}"
            if source is None
            else str(source)
        )
        return pipe

    def to(self, *args: Any, **kwargs: Any) -> LDFusionPipeline:
        """To a device, see `DiffusionPipeline.to`; the networks stay float32.

        Raises:
            InputError: another precision.
        """
        for value in (*args, *kwargs.values()):
            _check_precision(value)
        moved: LDFusionPipeline = super().to(*args, **kwargs)
        return moved

    def describe(
        self, visible: Tensor, infrared: Tensor, depth_visible: Tensor, depth_infrared: Tensor, style: str = "report"
    ) -> list[dict[str, Any]]:
        """Caption and facts of each pair; tensors as in `Pair`, relative inverse depth of both."""
        found: list[dict[str, Any]] = self.captioner.describe(visible, infrared, depth_visible, depth_infrared, style)
        return found

    @torch.no_grad()
    def caption(
        self, visible: Pair | Images, infrared: Images | None = None, style: str = "report"
    ) -> list[dict[str, Any]]:
        """A dictionary with ``caption``, ``style`` and ``facts`` for each pair, without fusing."""
        first, second, _ = prepare(visible, infrared, self.device)
        return self.describe(first, second, self.twin.visible(first), self.twin.infrared(second), style)

    def guided_by(self, guidance: Guidance) -> LDFusionPipeline:
        """The pipeline itself, which from now on is guided so where a call says nothing else.

        Raises:
            InputError: a prompt, timesteps or a tone that it cannot use.
        """
        if guidance.prompt is not None:
            self.text_encoder.tokenizer([guidance.prompt])
        if guidance.timesteps is not None:
            self.fuser.extractor.check_timesteps(guidance.timesteps)
        tone_controls(guidance.tone)
        self.guidance = guidance
        return self

    def sentences(self, visible: Tensor, infrared: Tensor) -> list[str]:
        """One sentence for each pair: the prompt, or the caption. Inputs as `fuse`."""
        if self.guidance.prompt is not None:
            return [self.guidance.prompt] * len(visible)
        return [found["caption"] for found in self.caption(visible, infrared)]

    @torch.no_grad()
    def sentence(self, visible: Tensor, infrared: Tensor) -> tuple[str, Tensor]:
        """The sentence of one pair (1, 3, H, W), (1, 1, H, W), and its feature (1, D), for `guide`."""
        text = self.sentences(visible, infrared)[0]
        return text, self.text_encoder.encode([text])

    def guide(self, text: str | None = None) -> GuidedFrames:
        """Frames of a video, fused under ``text`` or under what `GuidedFrames.follow` says."""
        feature = None if text is None else self.text_encoder.encode([check_prompt(text)])
        return GuidedFrames(self.fuser, self.guidance, feature)

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """The fused images alone: (B, 3, H, W) and (B, 1, H, W) in [0, 1] -> (B, 3, H, W) in [0, 1]."""
        text = self.text_encoder.encode(self.sentences(visible, infrared))
        noise = torch.Generator().manual_seed(self.guidance.seed)
        return self._fuse(visible, infrared, text, noise, self.guidance.timesteps, self.guidance.tone)

    def _fuse(
        self,
        visible: Tensor,
        infrared: Tensor,
        text: Tensor,
        generator: torch.Generator,
        timesteps: Sequence[int] | None,
        tone: Tone,
    ) -> Tensor:
        batch, _, height, width = visible.shape
        noise = pipeline_noise((batch, *self.fuser.working_shape(height, width)), None, generator, visible.device)
        return self.fuser.fuse(visible, infrared, text, noise, timesteps, tone_controls(tone).to(visible.device))

    @torch.no_grad()
    def __call__(
        self,
        visible: Pair | Images,
        infrared: Images | None = None,
        prompt: str | Sequence[str] | None = None,
        generator: torch.Generator | None = None,
        timesteps: Sequence[int] | None = None,
        tone: Tone | None = None,
        output_type: str = "pt",
        full_depth: bool = True,
        register: bool | Registrar = False,
    ) -> FusionOutput:
        """Fuse one pair or a batch of equally sized pairs. What is not given is as `guided_by` has said.

        Args:
            visible: a `Pair`, or PIL images, arrays (H, W[, C]) or tensors ([B,] C, H, W); integers, or floats in
                [0, 1].
            infrared: likewise; resized to the visible image's size. None beside a pair.
            prompt: a sentence that guides the fusion in the caption's place, one for all or one for each pair.
            generator: CPU generator of the feature extractor's noise; seed 0 without one. Every pair of a batch gets
                the same noise, so that its result does not depend on the batch.
            timesteps: other noise levels than the pipeline's, as many.
            tone: ``natural``, ``contrast`` or ``bright``, or (contrast, brightness), each from -1 to 1.
            register: bring the infrared images onto the visible ones first; True: by the robust default.
            output_type: ``pt``, ``np`` or ``pil``.
            full_depth: False leaves the depth maps at the networks' working size, (B, 1, h, w). The three full ones of
                24 megapixels take 0.3 GB; `depth.estimator.enlarge` makes the same map of each.

        Raises:
            InputError: unusable images, prompt, timesteps, tone or output type.

        Example:
            >>> pipe = LDFusionPipeline.from_pretrained()
            >>> out = pipe(Image.open("visible.png"), Image.open("infrared.png"), output_type="pil")
            >>> out.fused[0].save("fused.png"); print(out.caption[0])
        """
        # 0. Check the arguments
        check_output_type(output_type)
        known = self.guidance
        prompt, timesteps = (known.prompt if prompt is None else prompt), timesteps or known.timesteps
        tone = known.tone if tone is None else tone
        if timesteps is not None:
            self.fuser.extractor.check_timesteps(timesteps)
        tone_controls(tone)

        # 1. Images, aligned: visible (B, 3, H, W), infrared (B, 1, H, W), both in [0, 1]
        about = carried(visible)
        first, second, registration = prepare(visible, infrared, self.device, register)
        batch, _, height, width = first.shape
        given = None if prompt is None else check_prompts(prompt, batch)

        # 2. Depth of each modality: relative inverse depth (B, 1, h, w), of the working size until the end
        depth_visible, depth_infrared = self.twin.visible(first, full=False), self.twin.infrared(second, full=False)

        # 3. Caption: B sentences; the prompt takes their place as guidance. The captioner shrinks full-size maps: done
        #    here, one by one, only one is there at a time
        seen_visible, seen_infrared = (
            fit(enlarge(each, height, width), self.captioner.size) for each in (depth_visible, depth_infrared)
        )
        described = self.describe(first, second, seen_visible, seen_infrared)
        captions = [d["caption"] for d in described]
        prompts = captions if given is None else given

        # 4. Text features: (B, D)
        text = self.text_encoder.encode(prompts)

        # 5. Diffusion features of the working copy of [R, G, B, IR] and modulated decoding to a grid of coefficients,
        #    sliced at full size: (B, 3, H, W)
        noise = torch.Generator().manual_seed(known.seed) if generator is None else generator
        fused = self._fuse(first, second, text, noise, timesteps, tone)

        # 6. Depth of the fused image: (B, 1, h, w)
        depth = self.twin.fused(fused, full=False)

        # 7. Results in the wanted size and type; depth (B, 1, H, W)
        depth, depth_visible, depth_infrared = (
            from_batch(enlarge(each, height, width) if full_depth else each, output_type)
            for each in (depth, depth_visible, depth_infrared)
        )
        return FusionOutput(
            fused=from_batch(fused, output_type),
            depth=depth,
            depth_visible=depth_visible,
            depth_infrared=depth_infrared,
            caption=captions,
            prompt=prompts,
            facts=[d["facts"] for d in described],
            registration=registration,
            method=self.name,
            settings=({} if generator is not None else {"seed": known.seed}) | {"weights": self.weights_id},
            sources=small_copies(first, second),
            metric=self.twin.metric,
            **about,
        )


def _check_precision(value: object) -> None:
    if isinstance(value, torch.dtype) and value != torch.float32:
        raise InputError(f"precision: the pipeline computes in float32, not in {str(value).removeprefix('torch.')}")


def load_pipeline(
    weights: str | None = None,
    prompt: str | None = None,
    seed: int = 0,
    timesteps: Sequence[int] | None = None,
    tone: Tone = "natural",
) -> LDFusionPipeline:
    """The pipeline in a folder or of a hub id, by default the embedded one, as a fusion method with its options.

    Raises:
        InputError: nothing usable there, or a prompt, timesteps or a tone that it cannot use.
    """
    return LDFusionPipeline.from_pretrained(weights).guided_by(Guidance(prompt, seed, timesteps, tone))


def load_component(name: str, folder: Path) -> nn.Module:
    """One trained component of the pipeline from the folder of its weights.

    Raises:
        InputError: the folder holds something else.
    """
    classes: dict[str, Any] = {
        "denoiser": UNet2DModel,
        "decoder": FusionDecoder,
        "text_encoder": TextEncoder,
        "captioner": DepthCaptioner,
    }
    if name in classes:
        module: nn.Module = weights.load(classes[name], name, folder)
        return module
    try:
        estimator = load_estimator(folder)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: cannot be loaded as '{name}': {str(error).splitlines()[0]}") from error
    return estimator.network if isinstance(estimator, StudentEstimator) else estimator.get_submodule("model")
