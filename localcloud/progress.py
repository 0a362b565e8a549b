"""Shows the progress of steps: a line and a bar per step in a terminal, plain lines anywhere else. Always on stderr."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Task


class Steps:
    """Steps begin, advance and are done; some overlap."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._began: dict[str, float] = {}
        self._shown: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            _Mark(finished_text="[green]✓"),
            TextColumn("{task.description}", table_column=Column(min_width=22)),
            BarColumn(bar_width=24),
            _Seconds("{task.fields[note]}"),
            console=self.console,
        )

    def __enter__(self) -> Steps:
        if self.console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            for task in self._bars.tasks:
                if not task.finished:  # interrupted or failed: no bar may go on moving
                    self._bars.update(task.id, visible=False)
            self._bars.stop()

    def step(self, name: str, done: bool = False) -> None:
        if not done:
            self._began[name] = time.monotonic()
            if self.console.is_terminal:
                self._tasks[name] = self._bars.add_task(name, total=None, note="")
            else:
                self.console.print(f"{name} ...")
            return
        if self.console.is_terminal:
            self._bars.update(self._tasks[name], total=1, completed=1)
        else:
            self.console.print(f"{name}: done in {time.monotonic() - self._began[name]:.1f} s")

    def advance(self, name: str, fraction: float, note: str = "") -> None:
        """How far a step has got, where that is known."""
        if self.console.is_terminal:
            self._bars.update(self._tasks[name], total=1, completed=min(fraction, 0.999), note=note)
            return
        quarters = int(fraction * 4)
        if quarters > self._shown.get(name, 0):
            self._shown[name] = quarters
            self.console.print(f"{name}: {quarters * 25} %")

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, markup=False)


class _Mark(SpinnerColumn):
    """A spinner also while no total is known."""


class _Seconds(TextColumn):
    """How long it has taken, and the note beside it."""

    def render(self, task: Task) -> Text:
        note = f"  {task.fields['note']}" if task.fields["note"] else ""
        seconds = task.finished_time if task.finished else task.elapsed
        return Text(f"{seconds or 0:5.1f} s{note}", style="dim")
