# What all rules rest on (the checked configuration, the wildcards, which code is theirs). No rules here.

import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))

from coact.artefacts import check_folders
from coact.config import complete
from coact.corpus.sources import check_sources
from coact.dependencies import modules_of
from coact.errors import StudyError
from coact.processes import begin_run, end_on_signals
from coact.sae.truth.settings import TruthSettings
from coact.study import NULLS, check


def get_room(*folders):
    """Room for the study's files in these folders, or one line that says what is in the way."""
    try:
        check_folders(*folders)
    except StudyError as error:
        raise WorkflowError(str(error))


begin_run()
get_room(".")
try:
    check_folders("results")
except StudyError as error:
    print(f"warning: {error}", file=sys.stderr)  # what is complete may be looked at nonetheless


onstart:
    end_on_signals()  # anew: Snakemake's scheduler has put its own answer to SIGTERM in place
    get_room("results", "logs", "checkpoints")


try:
    STUDY = check(complete(config))
    check_sources(STUDY.config["corpus"]["sources"])
    if STUDY.config["ground_truth"]["enabled"]:
        TruthSettings.of(STUDY.config["ground_truth"])
except StudyError as error:
    raise WorkflowError(f"configuration: {error}")

CONFIG = STUDY.config
# All that changes a result.
RECORDED = {key: value for key, value in CONFIG.items() if key != "tracking"}
# SAEs that are trained on known directions too.
RECOVERED = STUDY.saes_of("trained") if CONFIG["ground_truth"]["enabled"] else []
# Scripts that read the configuration for a check, not for their result, find it complete.
config.update(CONFIG)


def get_code(rule):
    """Modules that a rule's script depends on; a change in one of them makes the rule run again."""
    return [os.path.relpath(Path(workflow.basedir) / path) for path in modules_of(f"{rule}.py")]


def get_pattern(names):
    """Wildcard constraint that matches exactly these names, or nothing where there are none."""
    return "|".join(names) if names else "(?!)"


wildcard_constraints:
    model=get_pattern(list(CONFIG["models"])),
    sae=r"[A-Za-z0-9_.-]+",
    tokenizer=get_pattern(STUDY.tokenizers()),
    split="train|heldout",
    shard=r"\d{5}",
    null=get_pattern(NULLS),
    part=r"\d+",
