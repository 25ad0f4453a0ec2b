"""A job of a study and what it takes."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measure:
    """A piece of work whose speed can be measured: seconds per token.

    Attributes:
        kind: "train model", "forward" (to the hook point), "predict" (to the logits), "train SAE", "encode",
            "count pairs" or "resample" (per token and sweep).
        subject: the model, or what an SAE's speed depends on (`Dictionary.recipe`); empty where only sizes matter.
        d_in, d_sae: of an SAE.
        l0: active features of a token.
        flops: operations per token; 0 where the work is not made of matrix products.
    """

    kind: str
    subject: str = ""
    d_in: int = 0
    d_sae: int = 0
    l0: float = 0.0
    flops: float = 0.0


@dataclass(frozen=True)
class Job:
    """Jobs of one rule that take the same.

    Attributes:
        stage: as the table of the plan calls it.
        rule: the rule.
        model, sae: wildcards; empty where the rule has none.
        number: how many such jobs there are.
        threads: that a job works on.
        gpu: whether it uses a GPU where there is one.
        tokens: that a job reads or makes; 0 where it reads tables.
        disk: bytes that a job leaves.
        passing: bytes that it takes on disk beside, while it runs.
        memory: bytes of resident memory at its peak.
        imports: the module that takes longest to import, whose import is measured; empty where `seconds` holds it.
        work: (what, tokens) of a job.
        seconds: of a job, beside `work`, on the machine of `reference.SECONDS`.
        key: of the configuration, that makes its memory less; empty where none does.
        disk_key: of the configuration, that makes `disk` less; empty: as `key`.
    """

    stage: str
    rule: str
    model: str = ""
    sae: str = ""
    number: int = 1
    threads: int = 1
    gpu: bool = False
    tokens: int = 0
    disk: int = 0
    passing: int = 0
    memory: int = 0
    imports: str = ""
    work: tuple[tuple[Measure, int], ...] = field(default=())
    seconds: float = 0.0
    key: str = ""
    disk_key: str = ""

    @property
    def flops(self) -> float:
        """Operations of a job in matrix products and what goes with them."""
        return sum(measure.flops * tokens for measure, tokens in self.work)

    @property
    def name(self) -> str:
        """The rule and its wildcards."""
        return " ".join([self.rule, "/".join(part for part in (self.model, self.sae) if part)]).strip()
