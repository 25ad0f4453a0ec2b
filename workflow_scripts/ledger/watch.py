"""What the workflow does about its ledger: before and after a run."""

import os
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.persistence.file import FilePersistence
from snakemake.settings.enums import PersistenceBackend

from coact.artefacts import explain
from coact.errors import ArtefactError, StudyError
from coact.inventory import listed
from ledger.digests import Digests
from ledger.note import note
from ledger.vouch import vouch

RESULTS = Path("results")
RECORDS = Path(".snakemake")
MOST_NAMES = 5  # in a message
watched: list[Any] = []  # the workflow of this process


def watch(workflow: Any) -> None:
    """Look through the results before the workflow does; jobs, and a workflow whose results another one writes, do not.

    Raises:
        WorkflowError: a file of the ledger is not JSON, or Snakemake keeps its records in a database.
    """
    watched[:] = [workflow]
    if not workflow.is_main_process or not RESULTS.is_dir() or _is_locked():
        return
    if workflow.workflow_settings.persistence_backend != PersistenceBackend.FILE:
        raise WorkflowError("--persistence-backend: found db, expected file: results are checked against its records")
    digests = Digests(RECORDS / "digests.json")
    try:
        restored, unknown = vouch(FilePersistence(nolock=True, path=RECORDS), RESULTS, digests)
    except ArtefactError as error:
        raise WorkflowError(f"{error}; delete it, and what it describes is made again") from None
    except OSError as error:
        raise WorkflowError(explain(error) or str(error)) from None
    digests.save()
    if restored:
        logger.info(f"Results known from {RESULTS}/ledger: {len(restored):,}")
    if unknown:
        names = listed(unknown, MOST_NAMES)
        logger.warning(f"Files of {RESULTS} that no record describes, made again where the study needs them: {names}")


def note_results(workflow: Any) -> set[str]:
    """Note what made the results of a run.

    Returns:
        The stages that are noted as a whole; none, and a line that says why, where the ledger cannot be written.
    """
    try:
        return note(workflow, RESULTS, Digests(RECORDS / "digests.json"))
    except StudyError as error:
        logger.error(f"error: {error}")
        return set()


def _is_locked() -> bool:
    locks = RECORDS / "locks"
    return locks.is_dir() and any(os.scandir(locks))
