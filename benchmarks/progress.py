"""What a person sees while it runs: one bar for what is being done, on standard error."""

import contextlib
from collections.abc import Callable, Iterator

import rich.console
import rich.progress


class Progress:
    """Bars in a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        """Begin with nothing shown."""
        self._console = rich.console.Console(stderr=True)
        self._live = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=30),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            console=self._console,
            transient=True,
            refresh_per_second=4,
        )

    def say(self, line: str) -> None:
        """Tell what comes."""
        self._console.print(line, highlight=False)

    @contextlib.contextmanager
    def step(self, title: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar; what is yielded moves it on by one."""
        if not self._console.is_terminal:
            self.say(title)
            yield lambda: None
            return
        with self._live:
            task = self._live.add_task(title, total=total)
            try:
                yield lambda: self._live.advance(task)
            finally:
                self._live.remove_task(task)
