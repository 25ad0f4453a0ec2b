"""The speed of transformers with random weights, or of a local one itself."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from coact.corpus.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from coact.costs import Measure
from coact.costs.dictionaries import weights_of
from coact.device import get_device
from coact.jobs import limit_threads
from coact.models.bridge import activations_at, load_bridge, make_bridge, token_losses
from coact.models.folder import new_gpt2
from coact.models.train import train_model
from coact.plan.dictionaries import MOST_SHARE, Timer
from coact.plan.limits import read_limits
from coact.study import Study

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import GPT2LMHeadModel
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

STEPS = 2  # of a measured training
TRAINING_THREADS = 2  # as in rules/models.smk
MOST_MEMORY = 0.4  # of this machine, for a model that is measured

TRAINING = ("batch_contexts", "learning_rate", "warmup_share", "weight_decay", "precision", "seed")
SHAPE = ("layers", "d_model", "heads", "d_mlp", "activation", "seed")


class Models:
    """The models of a study, made or opened when they are first asked for."""

    def __init__(self, study: Study) -> None:
        self.study, self._bridges = study, {}
        self._folder = tempfile.TemporaryDirectory()  # bridges open their tokenizer anew
        self.length = study.config["corpus"]["context_length"]

    def time(self, measure: Measure, flops: float, budget: float, timer: Timer) -> tuple[float, bool] | None:
        """Seconds per token, and True; None for a model that is not here or too large to be tried."""
        name, settings = measure.subject, self.study.config["models"][measure.subject]
        memory = read_limits(Path("results")).memory_bytes
        if settings["kind"] not in ("trained", "local") or 8 * weights_of(self.study, name) > MOST_MEMORY * memory:
            return None
        if measure.kind == "train model":
            return self._time_training(settings, budget, timer)
        contexts = self.study.config["activations"]["forward_contexts"]
        fitting = int(flops * budget * MOST_SHARE // (measure.flops * self.length))
        contexts = max(1, min(contexts, fitting))
        if name not in self._bridges:
            self._bridges = {name: self._open(settings)}
        bridge, hook = self._bridges[name], self.study.hook_of(name)
        tokens = torch.from_numpy(self._contexts(contexts, int(bridge.cfg.d_vocab)).astype(np.int64)).to(get_device())
        works = {
            "forward": lambda: activations_at(bridge, hook, tokens),
            "predict": lambda: token_losses(bridge, tokens),
        }
        return timer(works[measure.kind], budget) / tokens.numel(), True

    def _time_training(self, settings: dict, budget: float, timer: Timer) -> tuple[float, bool]:
        contexts = self._contexts(settings["batch_contexts"] * STEPS, self.study.config["corpus"]["vocabulary"])
        model, training = self._new(settings)[0], {key: settings[key] for key in TRAINING}
        found = []
        for threads in (TRAINING_THREADS, 1):
            limit_threads(threads)
            found.append(timer(lambda: train_model(model, contexts, tokens=contexts.size, **training), budget / 2))
        # On a busy machine two threads wait for one another, and look slower than one.
        return min(found) / contexts.size, True

    def _open(self, settings: dict) -> "TransformerBridge":
        if settings["kind"] == "local":
            return load_bridge(settings["path"])
        return make_bridge(*self._new(settings), "calibration")

    def _new(self, settings: dict) -> tuple["GPT2LMHeadModel", "PreTrainedTokenizerBase"]:
        folder = Path(self._folder.name) / "tokenizer"
        if not folder.is_dir():
            save_tokenizer(train_tokenizer([], 0), folder)
        tokenizer = load_tokenizer(folder)
        shape = {key: settings[key] for key in SHAPE}
        vocabulary = max(self.study.config["corpus"]["vocabulary"], len(tokenizer))
        return new_gpt2(vocabulary=vocabulary, context_length=self.length, tokenizer=tokenizer, **shape), tokenizer

    def _contexts(self, number: int, vocabulary: int) -> np.ndarray:
        return np.random.default_rng(0).integers(0, vocabulary, (number, self.length), np.int32)
