"""Examples name the row of the file, whatever was lost before it."""

from pathlib import Path

import cxmodel as cx


def test_rows_that_cannot_be_split_are_counted_on(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "who,what,at\nann\nann,ad,2026-01-01\nbob,ad,1,2\nbob,ad,someday\n,ad,2026-01-01\n", encoding="utf-8"
    )
    reading = cx.read_events(path, customer="who", touchpoint="what", time="at").reading
    found = {reason: [example.row for example in each.examples] for reason, each in reading.rejected.items()}
    assert found == {
        "too few columns": [1],
        "too many columns": [3],
        "time that cannot be read": [4],
        "no customer": [5],
    }
    assert reading.rows == 5
