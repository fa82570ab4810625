"""``%%bash`` and its kind in a report's kernel: such a cell has ended when its script has, whatever that has left running.

IPython reads what a script writes until nobody can write any more, and a child in the background (``sleep 600 &``) can for as
long as it lives: the cell, and the report with it, waited for that until its time was over.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

_GRACE_SECONDS = 0.5
"""For reading what was written before the script ended."""
_PIPES = (1, 2)


class ScriptLoop(asyncio.SelectorEventLoop):
    """An event loop that lets go of a process's output soon after the process has ended."""

    async def subprocess_exec(
        self, protocol_factory: Callable[[], Any], *words: Any, **given: Any
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        """As it is, with an end."""
        found: list[asyncio.SubprocessTransport] = []

        def protocol() -> Any:
            made = protocol_factory()
            connected, exited = made.connection_made, made.process_exited

            def connection_made(transport: asyncio.SubprocessTransport) -> None:
                found.append(transport)
                connected(transport)

            def process_exited() -> None:
                exited()
                self.call_later(_GRACE_SECONDS, self._let_go, found)

            made.connection_made, made.process_exited = connection_made, process_exited
            return made

        return await super().subprocess_exec(protocol, *words, **given)

    def _let_go(self, transports: list[asyncio.SubprocessTransport]) -> None:
        for transport in transports:
            for number in _PIPES:
                pipe = transport.get_pipe_transport(number)
                if pipe is not None and not pipe.is_closing():
                    pipe.close()


def prepare(shell: Any) -> None:
    """Teach it to an IPython shell.

    Args:
        shell: That of the kernel, before its first cell.
    """
    magics: Any = getattr(shell.find_cell_magic("script"), "__self__", None)
    if not hasattr(magics, "event_loop") or sys.platform == "win32":
        return
    magics.event_loop = ScriptLoop()
    threading.Thread(target=magics.event_loop.run_forever, name="scripts", daemon=True).start()
