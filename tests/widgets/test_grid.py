"""The list widget: what it asks for, what it draws, how its cursor moves."""

from __future__ import annotations

from textual.app import App, ComposeResult

from widgets.columns import Column, Row, fit_columns
from widgets.grid import Grid
from widgets.themes import themes
from widgets.toned import fit
from widgets.window import CHUNK, Window

COLUMNS = (Column("id", "Id", 6), Column("name", "Name", 10, flex=1), Column("note", "Note", 12, drop=1))


def rows(first: int, count: int, suffix: str = "") -> list[Row]:
    return [Row(f"k{n}", (str(n), f"name {n}{suffix}", "note"), ("accent", "", "dim")) for n in range(first, first + count)]


class ListApp(App[None]):
    """A list of `total` rows that answers every question."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total = total
        self.suffix = ""
        self.asked: list[int] = []
        for theme in themes():
            self.register_theme(theme)
        self.theme = "dark"

    def compose(self) -> ComposeResult:
        self.grid = Grid(COLUMNS)
        yield self.grid

    def on_mount(self) -> None:
        self.grid.focus()
        self.grid.restart()

    def on_grid_need(self, event: Grid.Need) -> None:
        self.asked.append(event.number)
        first = event.number * CHUNK
        self.grid.fill(event.number, rows(first, max(0, min(CHUNK, self.total - first)), self.suffix), self.total, event.generation)


def text_of(grid: Grid, y: int) -> str:
    return grid.render_line(y).text


async def test_it_loads_only_what_is_in_view() -> None:
    app = ListApp(100_000)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        assert app.asked == [0]
        assert "name 0" in text_of(app.grid, 1)
        app.grid.go(99_999)
        await pilot.pause()
        assert app.asked == [0, 999]
        assert app.grid.cursor_key == "k99999"
        assert "name 99999" in text_of(app.grid, 19)
        assert len(list(app.grid.window.rows())) <= 12 * CHUNK


async def test_leaving_the_page_turns_it() -> None:
    app = ListApp(1000)
    async with app.run_test(size=(60, 21)) as pilot:
        await pilot.pause()
        for _ in range(20):
            app.grid.move(1)
        assert (app.grid.top, app.grid.cursor) == (20, 20)
        app.grid.move(-1)
        assert (app.grid.top, app.grid.cursor) == (0, 19)
        app.grid.turn(1)
        assert (app.grid.top, app.grid.cursor) == (20, 39)
        app.grid.go(10**9)
        assert app.grid.cursor == 999 and app.grid.top == 980


async def test_only_changed_rows_are_drawn_again() -> None:
    app = ListApp(300)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        drawn: list[int] = []
        app.grid.redraw = lambda y, height=1: drawn.append(y)  # type: ignore[method-assign]
        app.grid.recheck()
        await pilot.pause()
        assert drawn == []
        changed = rows(0, CHUNK)
        changed[3] = Row("k3", ("3", "other", "note"), ("", "", ""))
        changed[90] = Row("k90", ("90", "other", "note"), ("", "", ""))
        app.grid.fill(0, changed, 300, app.grid.generation)
        assert drawn == [4], "row 3 stands on line 4, row 90 is out of view"


async def test_a_late_answer_to_an_older_question_is_dropped() -> None:
    app = ListApp(50)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        old = app.grid.generation
        app.suffix = " new"
        app.grid.restart()
        await pilot.pause()
        app.grid.fill(0, rows(0, 50, " old"), 50, old)
        assert "name 0 new" in text_of(app.grid, 1)


async def test_marks_survive_and_are_counted() -> None:
    app = ListApp(50)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.grid.toggle_mark()
        app.grid.toggle_mark()
        assert app.grid.marked() == ["k0", "k1"]
        assert text_of(app.grid, 1).startswith("•")
        app.grid.unmark()
        assert app.grid.marked() == ["k2"]


async def test_an_empty_list_says_why() -> None:
    app = ListApp(0)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.grid.say_empty("No tickets match 'x'.", "esc clears the filter")
        assert "No tickets match" in text_of(app.grid, 2)


def test_columns_are_dropped_before_they_are_squeezed() -> None:
    assert fit_columns(COLUMNS, 60) == ((0, 6), (1, 40), (2, 12))
    assert fit_columns(COLUMNS, 20) == ((0, 6), (1, 13))


def test_wide_characters_count_two_cells() -> None:
    assert fit("日本語", 5) == "日本…"
    assert fit("ab", 4, "right") == "  ab"
    assert fit("abcdef", 4) == "abc…"


def test_the_window_names_what_changed_and_forgets_what_is_far() -> None:
    window = Window()
    assert window.put(0, rows(0, 10), 10) == list(range(10))
    assert window.put(0, rows(0, 10), 10) == []
    for number in range(1, 20):
        window.put(number, rows(number * CHUNK, CHUNK), 5000)
    assert window.row(0) is None
    assert window.missing(0, 5) == [0]
