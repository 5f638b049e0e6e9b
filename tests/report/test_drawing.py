from __future__ import annotations

import io
import json

import pytest

from klarsyn.errors import KlarsynError
from klarsyn.figures.forest import ForestAxis, ForestRow, forest
from klarsyn.figures.theme import finish
from klarsyn.report import drawing


def spec(count: int) -> dict[str, object]:
    rows = [
        ForestRow(kind="study", label=f"Trial {i}", estimate=-0.1 * i, lower=-1, upper=1)
        for i in range(count)
    ]
    return finish(forest(rows, ForestAxis(title="effect")))


SPECS = {name: spec(k) for name, k in (("one", 1), ("two", 2), ("three", 3))}


def test_one_process_and_two_draw_the_same_bytes() -> None:
    alone = drawing.draw_pictures(SPECS, processes=1)
    assert drawing.draw_pictures(SPECS, processes=2) == alone
    assert list(alone) == list(SPECS)


def test_progress_hears_of_every_figure() -> None:
    heard: list[str] = []
    drawing.draw_pictures(SPECS, heard.append, processes=2)
    assert sorted(heard) == sorted(SPECS)


def test_a_helper_answers_each_line_with_a_line() -> None:
    sink = io.StringIO()
    task = json.dumps(["one", SPECS["one"]])
    drawing.serve(io.StringIO(task + "\n" + task + "\n"), sink)
    answers = sink.getvalue().splitlines()
    assert len(answers) == 2
    assert answers[0] == answers[1]


def test_a_figure_that_cannot_be_drawn_is_an_error_and_not_a_wait() -> None:
    broken = {"good": SPECS["one"], "bad": {"mark": {"type": "nonsense"}}}
    with pytest.raises(KlarsynError, match="could not be drawn"):
        drawing.draw_pictures(broken, processes=2)
