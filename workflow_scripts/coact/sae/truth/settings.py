"""What is planted. Light on imports, as `coact.config`."""

from dataclasses import dataclass, fields
from typing import Any

from coact.errors import ConfigError

SINGLE, GROUP, ROOT, CHILD = KINDS = "single", "group", "root", "child"  # of true features
TRAINED, RANDOM = "trained", "random"  # dictionaries that are scored, as tables name them
MOST_PROBABLE = 0.5  # a feature that fires on nearly every token is a bias


@dataclass(frozen=True)
class TruthSettings:
    """Settings of synthetic activations; the keys of `ground_truth` in the configuration, where they are described.

    Features are the nodes of `trees`, then the members of `groups`, then those that fire by themselves.

    Raises:
        ConfigError: trees and groups hold more features than there are, or so many cannot fire on a token.
    """

    seed: int
    dimension: int
    features: int
    l0: float
    zipf: float
    magnitudes: str
    noise: float
    groups: int
    group_size: int
    correlation: float
    trees: int
    depth: int
    branching: int
    child_probability: float

    def __post_init__(self) -> None:
        if self.single_features < 0:
            raise ConfigError(
                f"ground_truth.features: found {self.features:,}, but {self.trees} trees of {self.tree_features}"
                f" features and {self.groups} groups of {self.group_size} take {self.features - self.single_features:,}"
            )
        if self.l0 > self.most_l0:
            raise ConfigError(
                f"ground_truth.l0: found {self.l0:g}, but where no probability is above {MOST_PROBABLE:g} at most"
                f" {self.most_l0:.6g} features fire on a token; expected no more"
            )

    @classmethod
    def of(cls, section: dict[str, Any]) -> "TruthSettings":
        """The settings in the section `ground_truth` of the configuration."""
        return cls(**{field.name: section[field.name] for field in fields(cls)})

    @property
    def tree_features(self) -> int:
        """Features of a tree."""
        return sum(self.branching**level for level in range(self.depth + 1))

    @property
    def firing_in_tree(self) -> float:
        """Mean number of features of a tree that fire where its root does."""
        return sum((self.branching * self.child_probability) ** level for level in range(self.depth + 1))

    @property
    def single_features(self) -> int:
        """Features outside trees and groups."""
        return self.features - self.trees * self.tree_features - self.groups * self.group_size

    @property
    def most_l0(self) -> float:
        """Mean number of features that fire on a token if all are as probable as they may be."""
        return MOST_PROBABLE * (self.trees * self.firing_in_tree + self.groups * self.group_size + self.single_features)
