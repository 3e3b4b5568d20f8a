import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from vitron_agent.evaluation.report import Report, Row, iou_row, mean_row, median_row, rate_row


def test_rows_know_their_interval_and_whether_they_reach_their_target() -> None:
    row = rate_row("edit", "done", [True] * 90 + [False] * 10, 0.8)
    assert (row.value, row.n, row.met) == (0.9, 100, True)
    assert row.low < 0.9 < row.high
    assert row.text() == "90.0% (82.6-94.5)"
    assert rate_row("edit", "done", [False], 0.8).met is False
    assert rate_row("edit", "done", [True]).met is None


def test_seconds_are_met_from_below() -> None:
    assert mean_row("bench", "turn", [0.5], "s", 1.0).met is True
    assert mean_row("bench", "turn", [1.5], "s", 1.0).met is False


def test_a_row_of_nothing_says_so() -> None:
    row = rate_row("edit", "done", [], 0.8)
    assert (row.text(), row.met) == ("-", None)
    assert math.isnan(row.value)


def test_iou_rows_sum_or_average() -> None:
    pairs = [(90.0, 100.0), (0.0, 10.0)]
    assert iou_row("s", "cIoU", pairs, 0.85).value == pytest.approx(90 / 110)
    assert iou_row("s", "gIoU", pairs, summed=False).value == pytest.approx(0.45)


def _report() -> Report:
    same = rate_row("questions", "right", [True], 0.95)
    on, off = rate_row("edit", "done", [True, True], 0.8), rate_row("edit", "done", [True, False], 0.8)
    return Report("tiny", 3, {"on": (on, same), "off": (off,)}, 1.234, ({"case": "edit-1"},))


def test_what_was_left_out_is_said_below_the_table_and_in_the_data() -> None:
    out = io.StringIO()
    report = replace(_report(), left_out=("films-alone is left out: no weights",))
    report.print(Console(file=out, width=150))
    assert "films-alone is left out: no weights" in out.getvalue().splitlines()[-1]
    assert report.to_json()["left_out"] == ["films-alone is left out: no weights"]
    assert _report().to_json()["left_out"] == []


def test_the_table_shows_both_settings_side_by_side() -> None:
    out = io.StringIO()
    _report().print(Console(file=out, width=150))
    lines = out.getvalue().splitlines()
    (edit,) = [line for line in lines if "done" in line]
    assert "100.0%" in edit
    assert "50.0%" in edit
    assert "80%" in edit
    (questions,) = [line for line in lines if "right" in line]
    assert "=" in questions


def test_the_json_holds_the_same_numbers_and_no_nan() -> None:
    plain = json.loads(json.dumps(_report().to_json(), allow_nan=False))
    assert plain["rows"]["off"][0]["value"] == 0.5
    assert plain["rows"]["on"][1]["met"] is True
    assert plain["failures"] == [{"case": "edit-1"}]
    empty = Report("tiny", 0, {"on": (rate_row("s", "n", []),)}, 0.0)
    assert json.loads(json.dumps(empty.to_json(), allow_nan=False))["rows"]["on"][0]["value"] is None


def test_rows_are_found_by_name() -> None:
    found = _report().row("edit", "done", "off")
    assert isinstance(found, Row)
    assert found.value == 0.5
    assert _report().row("edit", "nothing") is None


def test_an_error_is_better_the_smaller_it_is() -> None:
    row = mean_row("words-lose", "shade off", [0.1, 0.3], "error", 0.25)
    assert row.met
    assert row.text().startswith("0.200 (")
    assert replace(row, value=0.3).met is False


def test_a_median_is_not_moved_by_one_value_that_is_far_out() -> None:
    row = median_row("words-lose", "speed off", [0.1, 0.2, 6.0], "error")
    assert (row.value, row.n, row.unit) == (0.2, 3, "error")
    assert mean_row("words-lose", "speed off", [0.1, 0.2, 6.0], "error").value > 2
