"""What trainings share: the history of their steps and the check of their losses."""

import numpy as np
import pandas as pd
import pytest

from coact.errors import StudyError
from coact.training import History, check_loss


def test_a_row_holds_the_means_of_its_interval_and_the_state_at_its_end():
    history = History(steps=501, step_tokens=10)  # intervals of two steps, the last of one
    for step in range(501):
        history.add(loss=float(step), l0=2.0)
        if history.is_due:
            history.write_row(learning_rate=step / 1000)
    table = history.table()
    ends = np.array([*range(2, 501, 2), 501])
    expected = {"step": ends, "tokens": 10 * ends, "loss": ends - 1.5, "l0": 2.0, "learning_rate": (ends - 1) / 1000}
    expected["loss"][-1] = 500.0
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected))


def test_a_short_training_has_a_row_per_step():
    history = History(steps=3, step_tokens=1)
    for loss in (3.0, 2.0, 1.0):
        history.add(loss=loss)
        assert history.is_due
        history.write_row()
    assert history.table()["loss"].tolist() == [3.0, 2.0, 1.0]


def test_a_loss_that_is_not_finite_is_refused():
    check_loss(1e30, "the model", 0, 5)
    with pytest.raises(StudyError, match="training the model: loss is nan at step 3 of 5; lower learning_rate"):
        check_loss(float("nan"), "the model", 2, 5)
