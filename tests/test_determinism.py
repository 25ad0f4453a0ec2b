"""The same study twice, on the same processor: the same bytes."""

import pytest

from conftest import make_micro
from runs import Run, hashes

# What the machine offers by default is what `micro_study` had.
OTHER = {
    "OMP_NUM_THREADS": "3",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@pytest.mark.slow
def test_other_cores_threads_and_folders_give_the_same_bytes(tmp_path, micro_study):
    folder = make_micro(tmp_path / "another" / "folder")
    with Run(folder, "snakemake", "--cores", "1", **OTHER, PYTHONHASHSEED="7") as run:
        assert run.wait() == 0, run.printed()[-4000:]
    assert hashes(folder) == hashes(micro_study)
