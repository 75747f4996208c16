"""Reading through readers: which one reads, what is kept, and how faults are told. Readers are registered for real."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel import reading
from cxmodel.data.roles import Roles
from cxmodel.errors import InvalidValueError, NoRowsError, UnknownColumnError, UnknownNameError, UnreadableSourceError
from cxmodel.plugins import RawEvent, Reader, RowError, hookimpl
from cxmodel.plugins.registry import PluginWarning, Registry


@frozen
class Notes(Reader):
    """Lines of customer|touchpoint|time|extra; a line beginning with # is a fault, with ! an accident."""

    name: ClassVar[str] = "notes"
    extensions: ClassVar[tuple[str, ...]] = (".notes",)

    def detects(self, head: bytes) -> bool:
        return head.startswith(b"notes")

    def rows(self, path: Path) -> Iterator[RawEvent | RowError]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], start=1):
            if line.startswith("!"):
                raise ZeroDivisionError("the reader stumbled")
            if line.startswith("#"):
                yield RowError(f"line {number}", "a remark", line)
                continue
            who, what, at, channel, mood = (text or None for text in line.split("|"))
            columns = {"channel": channel, "mood": mood}
            yield RawEvent(where=f"line {number}", customer=who, touchpoint=what, time=at, columns=columns)


@frozen
class Twin(Notes):
    """Recognises what Notes recognises, where the second line says so."""

    name: ClassVar[str] = "twin"

    def detects(self, head: bytes) -> bool:
        if b"crash" in head:
            raise ValueError("no idea")
        return head.startswith(b"notes twin")


class Plugin:
    """A module with one hook."""

    @staticmethod
    @hookimpl
    def cxmodel_readers() -> list[type[Reader]]:
        return [Notes, Twin]


@pytest.fixture(autouse=True, scope="module")
def _registered() -> Iterator[None]:
    registry = Registry()
    registry.register(Plugin(), distribution="tests", version_="1.2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "default_registry", lambda: registry)
        yield


def written(folder: Path, *lines: str, name: str = "a.notes", first: str = "notes") -> Path:
    path = folder / name
    path.write_text("\n".join([first, *lines]), encoding="utf-8")
    return path


GOOD = "ann|ad|2026-01-01|web|glad"


def test_a_preset_needs_no_columns(tmp_path: Path) -> None:
    journeys = cx.read_events(written(tmp_path, GOOD, "ann|shop|2026-01-02|web|"), preset="notes")
    assert repr(journeys) == "<Journeys: 1 customers, 1 journeys, 2 events>"
    assert journeys.facts.event_columns == ("channel",)
    assert journeys.reading.notes[-1] == "a.notes read by 'notes' of tests 1.2, which says who, where and when"


def test_columns_of_its_own_come_when_named(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, "ann|shop|2026-01-02|web|sad")
    assert "mood" in cx.read_events(path, preset="notes", attributes=["mood"]).facts.event_columns
    with pytest.raises(UnknownColumnError, match="mod"):
        cx.read_events(path, preset="notes", attributes=["mod"])


def test_a_role_may_name_a_column_of_the_reader(tmp_path: Path) -> None:
    journeys = cx.read_events(written(tmp_path, GOOD), preset="notes", stage="mood")
    assert journeys.where(stage="glad").facts.events == 1


def test_an_unknown_format_is_read_by_the_reader_that_recognises_it(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    journeys = cx.read_events(path, customer="who", touchpoint="what", time="at")
    assert journeys.facts.events == 1
    assert "read by 'notes' of tests 1.2" in journeys.reading.notes[-1]


def test_a_table_is_read_by_the_engine_whatever_a_reader_thinks_of_it(tmp_path: Path) -> None:
    path = written(tmp_path, "ann,ad,2026-01-01", name="a.csv", first="notes,what,at")
    journeys = cx.read_events(path, customer="notes", touchpoint="what", time="at")
    assert journeys.reading.notes == ()


def test_without_columns_and_preset_the_error_says_what_to_write(tmp_path: Path) -> None:
    table = written(tmp_path, name="a.csv", first="who,what,at")
    with pytest.raises(InvalidValueError, match="touchpoint= and time= not given") as caught:
        cx.read_events(table, customer="who")  # type: ignore[call-overload]
    assert "preset=" in str(caught.value)
    with pytest.raises(InvalidValueError, match="preset='notes'"):
        cx.read_events(written(tmp_path, name="b.json"))  # type: ignore[call-overload]
    with pytest.raises(InvalidValueError, match="customer= and touchpoint= and time="):
        cx.read_events([{"who": "ann"}])  # type: ignore[call-overload]


def test_a_preset_and_a_column_of_the_reader_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="Leave out time="):
        cx.read_events(written(tmp_path, GOOD), preset="notes", time="at")  # type: ignore[call-overload]


def test_an_unknown_preset_is_an_error_that_lists_the_others(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'nots'.*Did you mean 'notes'"):
        cx.read_events(written(tmp_path, GOOD), preset="nots")


def test_two_readers_that_recognise_a_file_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, first="notes twin")
    with pytest.raises(UnreadableSourceError, match="'notes', 'twin'"):
        cx.read_events(path, customer="who", touchpoint="what", time="at")
    assert cx.read_events(path, preset="twin").facts.events == 1


def test_nobody_recognises_it(tmp_path: Path) -> None:
    path = written(tmp_path, first="something else", name="a.odd")
    with pytest.raises(UnreadableSourceError, match=r"a\.odd: cannot tell the format"):
        cx.read_events(path, customer="who", touchpoint="what", time="at")


def test_a_reader_that_stumbles_while_looking_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, first="notes crash")
    with pytest.warns(PluginWarning, match="'twin' could not look at a file: ValueError: no idea"):
        journeys = cx.read_events(path, customer="who", touchpoint="what", time="at")
    assert journeys.facts.events == 1


def test_a_reader_that_stumbles_while_reading_is_an_error_that_names_file_and_reader(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSourceError, match=r"a\.notes cannot be read by 'notes': ZeroDivisionError"):
        cx.read_events(written(tmp_path, GOOD, "!"), preset="notes")


def test_nothing_but_faults_is_no_rows_and_tells_them(tmp_path: Path) -> None:
    with pytest.raises(NoRowsError, match=r"a\.notes line 1: '# hello'"):
        cx.read_events(written(tmp_path, "# hello"), preset="notes")
    with pytest.raises(NoRowsError, match=r"1 rejected: no customer"):
        cx.read_events(written(tmp_path, "|ad|2026-01-01||"), preset="notes")


def test_several_files_are_one_reading(tmp_path: Path) -> None:
    for name in ("b.notes", "a.notes"):
        written(tmp_path, GOOD, "# remark", "|ad|2026-01-01||", name=name)
    journeys = cx.read_events(str(tmp_path / "*.notes"), preset="notes")
    assert (journeys.reading.rows, journeys.reading.kept) == (6, 2)
    assert journeys.reading.notes[-1].startswith("2 files read by 'notes'")
    found = {
        reason: [(example.file, example.where, example.value) for example in count.examples]
        for reason, count in journeys.reading.rejected.items()
    }
    assert found == {
        "no customer": [("a.notes", "line 3", None), ("b.notes", "line 3", None)],
        "a remark": [("a.notes", "line 2", "# remark"), ("b.notes", "line 2", "# remark")],
    }
    example = journeys.reading.rejected["a remark"].examples[0]
    assert example.to_dict() == {"file": "a.notes", "row": 2, "value": "# remark", "where": "line 2"}


def test_a_reader_reads_files_only() -> None:
    with pytest.raises(UnreadableSourceError, match="reads files, not a list"):
        cx.read_events([{"who": "ann"}], preset="notes")  # type: ignore[list-item]


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(["ann", "bob", "", " "]),
                st.sampled_from(["ad", "shop", ""]),
                st.sampled_from(["2026-01-01", "2026-01-02T10:00:00Z", "soon", ""]),
            ),
            st.just("# remark"),
        ),
        max_size=30,
    )
)
def test_rows_in_are_kept_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, ...] | str]
) -> None:
    path = tmp_path_factory.mktemp("notes") / "a.notes"
    texts = [
        line if isinstance(line, str) else "|".join([*line, "", ""]) for line in [*lines, ("cem", "ad", "2026-01-03")]
    ]
    path.write_text("\n".join(["notes", *texts]), encoding="utf-8")
    found = cx.read_events(path, preset="notes").reading
    good = [line for line in lines if not isinstance(line, str) and all(t.strip() for t in line) and line[2] != "soon"]
    assert (found.rows, found.kept) == (len(texts), len(good) + 1)
    assert found.rejected_rows == found.rows - found.kept
    for count in found.rejected.values():
        assert all(texts[int((example.where or "").split()[1]) - 1] for example in count.examples)


def test_values_of_python_are_read_as_their_text(tmp_path: Path) -> None:
    @frozen
    class Dates(Notes):
        def rows(self, path: Path) -> Iterator[RawEvent | RowError]:
            for hour in range(3):
                at = datetime(2026, 1, 1, hour, tzinfo=UTC)
                yield RawEvent(where=f"{hour}", customer="ann", touchpoint="ad", time=at, journey="j", columns={})

    roles = Roles(customer="", touchpoint="", time="")
    population = reading.read(str(written(tmp_path)), Dates, roles)
    assert (population.facts.first, population.facts.last) == (
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 2, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "words"),
    [({"time": "x"}, "gives 'time' among its further columns"), ({"Channel": "a", "channel": "b"}, "'Channel' and")],
)
def test_columns_that_cannot_be_told_apart_are_refused(tmp_path: Path, columns: dict[str, str], words: str) -> None:
    @frozen
    class Doubled(Notes):
        def rows(self, path: Path) -> Iterator[RawEvent | RowError]:
            yield RawEvent(where="1", customer="ann", touchpoint="ad", time="2026-01-01", columns=columns)

    with pytest.raises((UnreadableSourceError, InvalidValueError), match=words):
        reading.read(str(written(tmp_path)), Doubled, Roles(customer="", touchpoint="", time=""))


def test_something_else_than_a_row_is_refused(tmp_path: Path) -> None:
    @frozen
    class Dicts(Notes):
        def rows(self, path: Path) -> Iterator[RawEvent | RowError]:
            yield {"customer": "ann"}  # type: ignore[misc]

    with pytest.raises(UnreadableSourceError, match=r"'notes' gave a dict for a row of a\.notes"):
        reading.read(str(written(tmp_path)), Dicts, Roles(customer="", touchpoint="", time=""))
