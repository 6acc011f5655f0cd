"""The stages of Deep Compression on a run folder: each can be done alone, and gone on with."""

import copy
import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.cluster import share_layers
from zeroskip.compiler.compress.config import Config, Phase
from zeroskip.compiler.compress.layers import Masked, bake, hold, layers_of, round_rest
from zeroskip.compiler.compress.masks import make_mask
from zeroskip.compiler.compress.prepare import Network
from zeroskip.compiler.compress.pruner import Pruner, choose_densities
from zeroskip.compiler.compress.restore import restore
from zeroskip.compiler.compress.run_folder import STAGES, RunFolder
from zeroskip.compiler.compress.task import Score, Task, evaluate
from zeroskip.compiler.compress.train import Progress, Trainer, frozen_copy
from zeroskip.compiler.compress.trial import try_task
from zeroskip.compiler.compress.ttq import hold_ternary

__all__ = ["BASE", "FLOWS", "Stages"]

BASE = ("train", "dsd")
"""Stages that make the float network, the same in every flow."""

FLOWS = {
    "deep-compression": (*BASE, "prune", "share", "finetune"),
    "ttq": (*BASE, "ttq"),
}
"""Stages of each flow, in order."""

Setup = Callable[[nn.Module], Callable[[int, int], None] | None]
"""Makes a network ready for a stage and returns what to call before each step."""


@dataclass(eq=False)
class Stages:
    """Runs stages, keeping what they make in a folder.

    BatchNorm is trained as part of the float network and folded into the layers beside it before
    these are pruned, so that nothing scales weights that are shared.

    Parameters
    ----------
    task, config, folder : of the run.
    device : to train on.
    progress : called while training.
    on_stage : called with a stage's name and its score when it is done or found done.
    on_note : called, once each, with what a user should know about the network.
    made : the network, if it has been made ready before.
    """

    task: Task
    config: Config
    folder: RunFolder
    device: str = "cpu"
    progress: Progress | None = None
    on_stage: Callable[[str, Score, nn.Module], None] = lambda *_: None
    on_note: Callable[[str], None] = lambda text: None
    made: Network | None = None

    @functools.cached_property
    def network(self) -> Network:
        """The task's network."""
        return self.made or Network(
            self.task, seed=self.config.seed, device=self.device, on_note=self.on_note
        )

    def begin(self, identity: dict[str, Any], *, resume: bool, change: bool = False) -> None:
        """Try a batch, before anything that takes long, and write what the run is; see RunFolder.

        Raises
        ------
        InputError
            If the folder holds another run, the network or a batch cannot be made, or they do not
            fit each other.
        """
        self.folder.check(self.config, identity, resume=resume, change=change)
        stages = [stage for stage in FLOWS[self.config.flow] if stage != "share"]
        epochs = [getattr(self.config, stage).epochs for stage in stages]
        early = any(epochs[: len(BASE)])
        train = early or self.config.prune.sensitivity
        for text in try_task(self.network.fresh(), self.task, train=train):
            self.on_note(text)
        if any(epochs) and not early:
            # What is trained has its norms folded, and may take a batch of one where they do not.
            try_task(self.network.folded(), self.task, train=True)
        self.folder.begin(self.config, identity)

    def on(self, folder: RunFolder, config: Config) -> "Stages":
        """Return stages of the same task on another folder, or with another configuration."""
        made = self.network if config.seed == self.config.seed else None
        return replace(self, folder=folder, config=config, made=made)

    def branch(self, name: str, config: Config, *, resume: bool = True) -> "Stages":
        """Return stages in a folder within this one, which begin with the same float network.

        Parameters
        ----------
        name : of the folder.
        config : what is done from there.
        resume : stages that are done there are not done again.
        """
        folder = RunFolder(self.folder.path / name)
        if not resume:
            folder.forget(BASE[0])
        other = self.on(folder, config)
        identity = {"task": self.task.name, "variant": name}
        folder.check(config, identity, resume=True, change=not resume)
        folder.begin(config, identity)
        for stage in BASE:
            source, target = (f.path / f"{stage}.pt" for f in (self.folder, folder))
            if source.exists() and not target.exists():
                shutil.copyfile(source, target)
        return other

    def with_densities(self, densities: dict[str, float]) -> "Stages":
        """Return stages on the same folder that prune each layer to the density given."""
        prune = self.config.prune.model_copy(update={"layers": densities, "sensitivity": False})
        return self.on(self.folder, self.config.model_copy(update={"prune": prune}))

    def result(self, *stages: str) -> nn.Module | None:
        """Return the network after the last of ``stages`` that is done, folded, or None."""
        for stage in reversed(stages):
            document = self.folder.load(stage)
            if document is not None:
                module = self._restored(stage, document["model"])
                return self.network.folded(module) if stage in BASE else module
        return None

    def base(self) -> nn.Module:
        """Return the float network, folded."""
        return self.result(*BASE) or self.network.folded()

    def run_base(self) -> nn.Module:
        """Do the stages that make the float network, and return it, folded."""
        for stage in BASE:
            if stage == "train" or self.config.dsd.epochs:
                self.run(stage)
        return self.base()

    def run_rest(self) -> nn.Module:
        """Do the other stages of the flow, and return the compressed network."""
        module = self.base()
        for stage in FLOWS[self.config.flow]:
            if stage not in BASE:
                module = self.run(stage)
        return module

    def scores(self) -> dict[str, Score]:
        """Return the scores of the stages that are done, by their names, in order."""
        done = {stage: self.folder.load(stage) for stage in STAGES}
        return {name: Score(**d["score"]) for name, d in done.items() if d is not None}

    def _restored(self, stage: str, state: dict[str, Any]) -> nn.Module:
        """Return the network of a checkpoint; the float network's have BatchNorm as it was."""
        module = self.network.fresh() if stage in BASE else self.network.folded()
        restore(module, state)
        return module

    def run(self, stage: str) -> nn.Module:
        """Do ``stage``, unless its checkpoint is there; return the network after it.

        Raises
        ------
        InputError
            If the stage before it was not done.
        TrainingError
            If the loss becomes no number.
        """
        document = self.folder.load(stage)
        if document is not None:
            module = self._restored(stage, document["model"])
            self.on_stage(stage, Score(**document["score"]), module)
            return module
        return getattr(self, f"_{stage}")()

    def _train(self) -> nn.Module:
        module = self.network.fresh()
        return self._finish("train", *self._fit("train", module, self.config.train))

    def _dsd(self) -> nn.Module:
        """Prune, train sparse, then train all weights again (Han et al., "DSD", ICLR 2017)."""
        phase, document = self.config.dsd, self.folder.load("train")
        module = self.network.fresh()
        if document is not None:
            restore(module, document["model"])
        if not phase.epochs:
            return self._finish("dsd", module, [])
        history: list[dict[str, Any]] = []
        # A run that was stopped in the dense phase has the sparse one behind it.
        if self.folder.load_running("dsd-dense") is None:
            for layer in layers_of(module).values():
                hold(layer, Masked(make_mask(layer.weight, phase.density)))
            module, history = self._fit("dsd", module, phase)
        # Pruned weights come back as 0, from where the dense phase moves them gently.
        module = bake(module)
        slower = phase.model_copy(update={"learning_rate": phase.learning_rate * phase.dense_rate})
        module, more = self._fit("dsd-dense", module, slower)
        return self._finish("dsd", module, [*history, *more])

    def _prune(self) -> nn.Module:
        base = self.base()
        module, prune = copy.deepcopy(base), self.config.prune
        densities = self.densities(base)
        pruners: list[Pruner] = []

        def setup(network: nn.Module) -> Pruner:
            pruners.append(Pruner(network, densities, prune))
            return pruners[-1]

        module, history = self._fit("prune", module, prune, setup, frozen_copy(base))
        for text in pruners[-1].finish():
            self.on_note(text)
        return self._finish("prune", module, history, densities=densities)

    def _share(self) -> nn.Module:
        module = self.result("prune")
        if module is None:
            # A network that comes pruned is shared as it is.
            module = self.base()
        bake(module)
        share_layers(module, self.config.share, self.config.seed)
        return self._finish("share", module, [])

    def _finetune(self) -> nn.Module:
        module = self.result("share")
        if module is None:
            raise InputError(f"{self.folder.path} has no shared network: share before fine-tuning")
        module, history = self._fit(
            "finetune", module, self.config.finetune, teacher=frozen_copy(self.base())
        )
        return self._finish("finetune", self._rounded(module), history)

    def _ttq(self) -> nn.Module:
        base = self.base()
        module = copy.deepcopy(base)

        def setup(network: nn.Module) -> None:
            for layer in layers_of(network).values():
                hold_ternary(layer, self.config.ttq.threshold)

        module, history = self._fit("ttq", module, self.config.ttq, setup, frozen_copy(base))
        return self._finish("ttq", self._rounded(bake(module)), history)

    def _rounded(self, module: nn.Module) -> nn.Module:
        """Round what is not shared to 16 bits, in place, if the configuration says so."""
        return round_rest(module) if self.config.half_rest else module

    def densities(self, module: nn.Module) -> dict[str, float]:
        """Return the density of each layer that the configuration asks for."""
        return choose_densities(module, self.task, self.config)

    def _fit(
        self,
        stage: str,
        module: nn.Module,
        phase: Phase,
        setup: Setup | None = None,
        teacher: nn.Module | None = None,
    ) -> tuple[nn.Module, list[dict[str, Any]]]:
        """Train, from where it was stopped if it was."""
        before_step = setup(module) if setup is not None else None
        if not phase.epochs:
            return module, []
        running = self.folder.load_running(stage)
        if running is not None:
            restore(module, running["model"])
        module.to(self.device)
        trainer = Trainer(
            stage,
            module,
            self.task,
            phase,
            self.config.seed,
            teacher=teacher,
            before_step=before_step,
            progress=self.progress,
            save=lambda state: self._keep(stage, module, state),
            last_good=self.folder.last_good(),
        )
        return module, trainer.run(running)

    def _keep(self, stage: str, module: nn.Module, state: dict[str, Any]) -> None:
        self.folder.save_running(stage, {"model": module.state_dict(), **state})

    def _finish(
        self, stage: str, module: nn.Module, history: list[dict[str, Any]], **more: Any
    ) -> nn.Module:
        score = evaluate(module, self.task)
        self.folder.save(
            stage,
            {"model": module.state_dict(), "score": vars(score), "history": history, **more},
        )
        self.on_stage(stage, score, module)
        return module
