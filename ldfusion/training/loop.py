"""The one training loop, on `accelerate`: every stage, one or many processes, exact resume.

What step ``k`` computes depends on the seed and on ``k`` alone: the data order and the augmentation come from
`StepSampler` and `PairDataset`, noise comes from each sample's own seed, and the global generator (dropout) is seeded
anew at each step. A run that was killed and resumed therefore ends with the very weights of an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, is_tensorboard_available
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm

from ldfusion.config import Experiment, dump
from ldfusion.data.pairs import StepSampler, build_dataset, collate, sample_seed, to_device, validation_loader
from ldfusion.errors import InputError, WorkError
from ldfusion.training import checkpoints
from ldfusion.training.folder import RunFolder, reserved
from ldfusion.training.optim import build_optimizer, build_schedule
from ldfusion.training.stages import AlternatingStage, Stage, build_stage, parameter_groups
from ldfusion.training.start import start_from
from ldfusion.weights import place

PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class WarmedAverage:
    """Exponential moving average whose decay grows with the number of updates, so that early weights are forgotten."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def __call__(self, average: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        """The average after one more update, of the same shape."""
        n = float(updates)
        return torch.lerp(average, current.to(average.dtype), 1 - min(self.decay, (1 + n) / (10 + n)))


class Trainer:
    """State of one run. Use `train`.

    Args:
        experiment: the resolved configuration.

    Raises:
        InputError: missing data, unknown stage or keys, an output folder that belongs to another run.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = e = experiment
        self.folder = RunFolder(e)
        tracker = None if e.train.tracker == "none" else e.train.tracker
        if tracker and not is_tensorboard_available():
            raise InputError(
                "train.tracker=tensorboard: not installed; pip install 'ldfusion[train]' or train.tracker=none"
            )
        if e.optim.precision == "fp16" and not torch.cuda.is_available():
            raise InputError("optim.precision=fp16 needs a GPU; use bf16 or fp32")
        self.stage: Stage[Any] = self._seeded_stage()
        self.plan = self.stage if isinstance(self.stage, AlternatingStage) else None
        if self.plan is not None and self.plan.steps != e.train.steps:
            raise InputError(f"train.steps={e.train.steps}: the plan of this stage has {self.plan.steps} steps")
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),
            mixed_precision=PRECISIONS[e.optim.precision],
            gradient_accumulation_steps=e.train.accumulate,
            log_with=tracker,
            project_dir=e.output,
            step_scheduler_with_optimizer=False,
            # networks that take turns leave each other without gradients
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=self.plan is not None)],
        )
        # narrow convolutions run two to three times faster with the channels last, on the CPU as well
        self.stage.network.to(memory_format=torch.channels_last)
        options = dict(self.stage.dataset_options)
        self.dataset = build_dataset(e.data, e.seed, True, **options)
        self.validation = build_dataset(e.data, e.seed, False, **options)
        settings = {"main": e.optim, "task": e.optim.task}
        optimizers = {
            name: build_optimizer(settings[name], groups) for name, groups in parameter_groups(self.stage).items()
        }
        self.schedules = {
            name: build_schedule(settings[name], optimizer, sum(name in self._turn(k) for k in range(e.train.steps)))
            for name, optimizer in optimizers.items()
        }
        self.network, *prepared = self.accelerator.prepare(self.stage.network, *optimizers.values())
        self.optimizers = dict(zip(optimizers, prepared, strict=True))
        self.accelerator.register_for_checkpointing(*self.schedules.values())
        self.ema: AveragedModel | None = None
        if e.optim.ema > 0:
            plain = self.accelerator.unwrap_model(self.network, keep_fp32_wrapper=False)
            self.ema = AveragedModel(plain, avg_fn=WarmedAverage(e.optim.ema))
            self.accelerator.register_for_checkpointing(self.ema)
        self.start = self._resume() if e.train.resume else 0
        self.stop = min(e.train.stop or e.train.steps, e.train.steps)
        self.loader = self._loader()

    def _seeded_stage(self) -> Stage[Any]:
        e = self.experiment
        torch.manual_seed(sample_seed(e.seed, 0))
        stage = build_stage(e)
        if e.train.init:
            # a stage that exports a part of its network starts from that part
            folders = [place(folder) for folder in (e.train.init, *e.train.init_mean)]
            parts = [folder / stage.part if (folder / stage.part).is_dir() else folder for folder in folders]
            start_from(stage.exported, parts, e.train.init_fewer)
        return stage

    def _turn(self, step: int) -> tuple[str, ...]:
        """Names of the optimisers that take a step."""
        return ("main",) if self.plan is None else self.plan.turn(step)

    def _resume(self) -> int:
        found = checkpoints.newest(self.folder.checkpoints)
        if found is None:
            return 0
        step, folder = found
        self.accelerator.load_state(str(folder))
        self.accelerator.print(f"resumed from {folder}", file=sys.stderr)
        return step

    def _loader(self) -> DataLoader[dict[str, Any]]:
        e, a = self.experiment, self.accelerator
        k = e.train.accumulate
        sampler = StepSampler(
            len(self.dataset),
            e.train.batch // k,
            e.seed,
            self.start * k,
            self.stop * k,
            a.process_index,
            a.num_processes,
        )
        workers = e.data.workers
        return DataLoader(
            self.dataset, batch_sampler=sampler, collate_fn=collate, num_workers=workers, persistent_workers=workers > 0
        )

    def run(self) -> dict[str, float]:
        """Train to the last step, validate, export; returns the last validation's figures.

        Raises:
            WorkError: the loss is not finite, or a checkpoint cannot be written.
        """
        e, a = self.experiment, self.accelerator
        if a.is_main_process:
            self.folder.begin(self.start, self.stop)
        a.wait_for_everyone()
        if a.log_with:
            # events beyond the checkpoint, of the run that was killed, are hidden
            options = {"tensorboard": {"purge_step": self.start + 1}} if self.start else {}
            a.init_trackers("log", config={"config": json.dumps(dump(e))}, init_kwargs=options)
        sums: defaultdict[str, float] = defaultdict(float)
        counts: defaultdict[str, float] = defaultdict(float)
        batches = iter(self.loader)
        quiet = not (a.is_main_process and sys.stderr.isatty())
        with tqdm(total=self.stop, initial=self.start, unit="step", desc=e.stage, disable=quiet) as bar:
            for step in range(self.start, self.stop):
                self.network.train()
                turn = self._turn(step)
                for micro in range(e.train.accumulate):
                    torch.manual_seed(sample_seed(e.seed, step, micro, a.process_index))
                    batch = to_device(next(batches), a.device)
                    with a.accumulate(self.network):
                        with a.autocast():
                            losses = self.stage.training_step(self.network, batch, step)
                        if not math.isfinite(losses["loss"].item()):
                            raise WorkError(
                                f"step {step}: the loss is not finite; lower optim.lr or use optim.precision=fp32"
                            )
                        a.backward(losses["loss"])
                        if a.sync_gradients and e.optim.clip > 0:
                            a.clip_grad_norm_(self.network.parameters(), e.optim.clip)
                        for name in turn:
                            self.optimizers[name].step()
                        for optimizer in self.optimizers.values():
                            optimizer.zero_grad()
                    for name, value in losses.items():
                        sums[name] += value.item() / e.train.accumulate
                        counts[name] += 1 / e.train.accumulate
                for name in turn:
                    self.schedules[name].step()
                if self.ema is not None:
                    self.ema.update_parameters(a.unwrap_model(self.network, keep_fp32_wrapper=False))
                done = step + 1
                bar.update()
                if done % e.train.log_every == 0:
                    means = self._means(sums, counts)
                    sums.clear()
                    counts.clear()
                    a.log({**means, **self._rates()}, step=done)
                    bar.set_postfix(loss=f"{means['train/loss']:.4f}")
                    if a.is_main_process:
                        self.folder.record("train", done, means)
                if e.train.checkpoint_every and done % e.train.checkpoint_every == 0 and done < self.stop:
                    checkpoints.save(a, self.folder.checkpoints, done, e.train.keep)
                if e.train.validate_every and done % e.train.validate_every == 0 and done < self.stop:
                    self._validate(done)
        if self.start < self.stop:
            checkpoints.save(a, self.folder.checkpoints, self.stop, e.train.keep)
        figures = self._validate(self.stop)
        self._export()
        a.end_training()
        return figures

    def averaged(self) -> nn.Module:
        """The network to judge and to ship: the moving average where there is one."""
        network: nn.Module = (
            self.ema.module
            if self.ema is not None
            else self.accelerator.unwrap_model(self.network, keep_fp32_wrapper=False)
        )
        return network

    def _rates(self) -> dict[str, float]:
        return {
            "train/lr" if name == "main" else f"train/lr_{name}": float(schedule.get_last_lr()[0])
            for name, schedule in self.schedules.items()
        }

    def _means(self, sums: dict[str, float], counts: dict[str, float]) -> dict[str, float]:
        """Mean of every logged loss over the steps since the last line that had it, and over all processes."""
        values = torch.tensor([sums[name] / counts[name] for name in sums], device=self.accelerator.device)
        reduced: Tensor = self.accelerator.reduce(values, reduction="mean")
        return {f"train/{name}": value for name, value in zip(sums, reduced.tolist(), strict=True)}

    def _validate(self, step: int) -> dict[str, float]:
        figures: dict[str, float] = {}
        if self.accelerator.is_main_process:
            network = self.averaged()
            network.eval()
            with torch.no_grad():
                figures = self.stage.validate(network, validation_loader(self.validation), self.folder.pictures(step))
            self.accelerator.log({f"val/{k}": v for k, v in figures.items()}, step=step)
            self.folder.record("val", step, figures)
            network.train()
        self.accelerator.wait_for_everyone()
        return figures

    def _export(self) -> None:
        if self.accelerator.is_main_process:
            network = self.averaged().eval()
            self.folder.export(lambda folder: self.stage.export(network, folder))
        self.accelerator.wait_for_everyone()


def train(experiment: Experiment) -> dict[str, float]:
    """Run an experiment to its end and return the figures of the last validation."""
    with reserved(experiment.output):
        return Trainer(experiment).run()


def train_once(experiment: Experiment) -> dict[str, float]:
    """`train`, unless this very run, to the last setting, is finished: then the figures it ended with."""
    done = RunFolder(experiment).result()
    return train(experiment) if done is None else done
