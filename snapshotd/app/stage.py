"""Showing the story: a live display in a terminal, plain lines in a pipe, one object as JSON."""

import json
import sys
from typing import Any

import rich.console
import rich.progress

JsonObject = dict[str, Any]


class Stage:
    """What a person sees of the story; `output` is text or json."""

    def __init__(self, output: str) -> None:
        """Choose the display."""
        self._json = output == "json"
        self._console = rich.console.Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._live: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        self._steps: list[JsonObject] = []

    def begin(self, steps: int) -> None:
        """Begin, with this many steps to come."""
        if self._json or not self._console.is_terminal:
            return
        self._live = rich.progress.Progress(
            rich.progress.SpinnerColumn(),
            rich.progress.BarColumn(bar_width=20),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.description}"),
            console=self._console,
            transient=True,
        )
        self._live.start()
        self._task = self._live.add_task("", total=steps)

    def starting(self, title: str) -> None:
        """Tell that a step begins."""
        if self._live is not None and self._task is not None:
            self._live.update(self._task, description=title)

    def finished(self, title: str, told: str, seconds: float) -> None:
        """Tell that a step ended as it should."""
        self._note(title, "ok", told, seconds)
        self._line("[green]ok[/]  ", title, told, seconds)

    def skipped(self, title: str) -> None:
        """Tell that a step was done before we were stopped."""
        self._note(title, "done before", "", 0.0)
        self._line("[cyan]done[/]", title, "before this start", 0.0)

    def failed(self, title: str, why: str, seconds: float) -> None:
        """Tell that a step did not end as it should."""
        self._note(title, "failed", why, seconds)
        self._line("[red]FAIL[/]", title, why, seconds)
        self._close({})

    def end(self, left: JsonObject) -> None:
        """Tell that all went well, and what is left on disk."""
        self._close(left)
        if not self._json:
            total = sum(step["seconds"] for step in self._steps)
            kept = len(left["snapshots"])
            snapshots = "1 snapshot" if kept == 1 else f"{kept} snapshots"
            self._console.print(
                f"\nEvery step was as it should be: {len(self._steps)} steps in {total:.2f} s. "
                f"Left on disk: {len(left['volumes'])} volumes, {snapshots} "
                f"(policy Retain keeps {'it' if kept == 1 else 'them'})."
            )

    def _note(self, title: str, result: str, told: str, seconds: float) -> None:
        self._steps.append(
            {"step": title, "result": result, "detail": told, "seconds": round(seconds, 3)}
        )

    def _line(self, mark: str, title: str, told: str, seconds: float) -> None:
        if self._json:
            return
        self._console.print(f"{mark} {seconds:6.2f} s  {title}\n                [dim]{told}[/]")
        if self._live is not None and self._task is not None:
            self._live.advance(self._task)

    def _close(self, left: JsonObject) -> None:
        if self._live is not None:
            self._live.stop()
        if self._json:
            ok = all(step["result"] != "failed" for step in self._steps)
            print(json.dumps({"ok": ok, "steps": self._steps, "left": left}, indent=2))  # noqa: T201 - the report
