"""A notebook's cells in a Jupyter kernel: bounded in time and output, stopped by signals."""

import asyncio
import contextlib
import json
import re
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import IO, Any, NamedTuple

import zmq
import zmq.asyncio
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode, ValidationError, v4
from zmq.utils.monitor import recv_monitor_message

OUTPUT_LIMIT = 10_000_000  # bytes of a cell's outputs; a browser is slow with more
OUTPUT_OVERHEAD = 500  # bytes that an output takes beside its content
MESSAGE_LIMIT = 4 * OUTPUT_LIMIT  # bytes; a larger message is not taken into memory at all
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP

TOO_MUCH = f"this cell put out more than {OUTPUT_LIMIT // 10**6} MB; let it print or show less."
NO_TEXT = "this cell shows data that no notebook can hold; for each MIME type show text, or JSON."


class Failure(NamedTuple):
    """Why a notebook did not run to its end, and the line of the chapter where it stopped."""

    line: int
    why: str
    signal: int  # that stopped it, or 0


class _Client(NotebookClient):
    """nbclient's client with a bound on what a cell puts out, and a way to stop it from outside."""

    stderr: IO[bytes]  # what the kernel says beside the cells' outputs
    running: NotebookNode | None = None  # the cell
    hung_up: NotebookNode | None = None  # the cell whose message was too large, or that killed it
    size = 0  # of its outputs, in bytes
    why = ""  # it was stopped
    signal = 0  # that stopped it
    _cancel: Callable[[], object] | None = None

    def stop(self, why: str, signal: int = 0) -> None:
        """End the run; only the first call counts."""
        if not self.why:
            self.why, self.signal = why, signal
            if self._cancel:
                self._cancel()

    async def run(self) -> None:
        """Execute all cells in a kernel of their own, which is gone afterwards."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        watch = None
        try:
            if self.why:  # before there was a loop
                raise asyncio.CancelledError
            self.create_kernel_manager()
            await self.async_start_new_kernel(stderr=self.stderr)
            assert self.km
            context = zmq.asyncio.Context()
            context.setsockopt(zmq.constants.MAXMSGSIZE, MESSAGE_LIMIT)
            self.kc = self.km.client(context=context)
            self.kc.start_channels()
            await self.kc.wait_for_ready(timeout=self.startup_timeout)
            self.kc.allow_stdin = False
            watch = asyncio.ensure_future(self._watch())
            info = await self.async_wait_for_reply(self.kc.kernel_info())
            if info:
                self.nb.metadata["language_info"] = info["content"]["language_info"]
            for index, cell in enumerate(self.nb.cells):
                self.running, self.size = cell, 0
                count = self.code_cells_executed + 1
                await self.async_execute_cell(cell, index, execution_count=count)
            if self.hung_up:
                await watch
            self.set_widgets_metadata()
        finally:
            if watch:
                watch.cancel()
            if self.km and self.km.has_kernel:
                await self.km.shutdown_kernel(now=bool(self.why))
            if self.kc:
                self.kc.stop_channels()
                self.kc.context.destroy(linger=0)

    async def _watch(self) -> None:
        """Stop the run where zmq hangs up on a message that is too large."""
        assert self.kc and self.km
        hung_up = self.kc.iopub_channel.socket.get_monitor_socket(zmq.constants.EVENT_DISCONNECTED)
        await recv_monitor_message(hung_up)
        self.hung_up = self.running
        await asyncio.sleep(2)  # a kernel that dies hangs up too, and is gone by then
        if self.hung_up and await self.km.is_alive():
            self._cut(self.hung_up, TOO_MUCH)

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Take a message of the kernel as nbclient does, as long as the outputs are small."""
        if self.why:
            return None
        content, kind = msg["content"], msg["msg_type"]
        if kind == "clear_output":
            self.size = 0
        elif kind not in ("status", "execute_input"):
            size = len(json.dumps(content)) + OUTPUT_OVERHEAD
            room = OUTPUT_LIMIT - self.size
            if kind != "update_display_data":  # it takes another's place
                self.size += size
            if size > room:
                if kind == "stream" and room > OUTPUT_OVERHEAD:
                    content["text"] = content["text"][: room - OUTPUT_OVERHEAD]
                    super().process_message(msg, cell, cell_index)
                self._cut(cell, TOO_MUCH)
                return None
        try:
            return super().process_message(msg, cell, cell_index)
        except ValidationError:
            self._cut(cell, NO_TEXT)
            return None

    def _cut(self, cell: NotebookNode, why: str) -> None:
        word = v4.new_output("stream", name="stderr", text=f"[cut here: {why}]\n")
        cell.outputs.append(word)
        self.running = cell
        self.stop(why)


def run(
    notebook: NotebookNode, lines: dict[str, list[int]], folder: str | Path, timeout: int
) -> Failure | None:
    """Execute a notebook, in place; ``lines`` are a Conversion's. See ``notebook.execute``."""
    client = _Client(
        notebook,
        timeout=timeout,
        record_timing=False,
        extra_arguments=["--log-level=CRITICAL"],
        resources={"metadata": {"path": str(folder)}},
    )
    why, line = "", None
    with TemporaryFile() as client.stderr:  # its troubles at the end are not the reader's
        try:
            with _signals_to(client):
                _complete(client.run())
        except NoSuchKernel as error:
            why = f"there is no Jupyter kernel {error.name}; run: python -m pip install ipykernel"
        except CellExecutionError as error:
            message = (error.evalue.strip().split("\n") or [""])[0]
            why = f"{error.ename}: {message}" if message else error.ename
            assert client.running
            line = _raising_line(client.running, lines, error.traceback)
        except CellTimeoutError:
            why = f"this cell did not end within {timeout} s; give it more with --timeout."
        except (RuntimeError, OSError, asyncio.CancelledError) as error:
            # a DeadKernelError is the first kind
            client.stderr.seek(0)
            said = [str(error), *client.stderr.read().decode(errors="replace").splitlines()]
            why = f"the kernel died: {['', *filter(str.strip, said)][-1].strip()}"
    if client.why:  # whatever came of it
        why, line = client.why, None
    if line is None:
        line = lines[client.running.id][0] if client.running else 1
    return Failure(line, why, client.signal) if why else None


def _complete(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, also where an event loop runs already, as in Jupyter."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
    else:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, coroutine).result()


@contextlib.contextmanager
def _signals_to(client: _Client) -> Iterator[None]:
    """Let a signal stop the client meanwhile; one that is ignored, as after nohup, stays so."""

    def handle(number: int, frame: FrameType | None) -> None:
        client.stop(f"stopped by {signal.Signals(number).name}", number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raising_line(cell: NotebookNode, lines: dict[str, list[int]], traceback: str) -> int:
    """Return the chapter's line of the last frame in this cell, or else of its first line."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", traceback)
    frames = re.findall(rf"Cell In\s?\[{cell.execution_count}\], line (\d+)", plain)
    offset = int(frames[-1]) - 1 if frames else 0
    return lines[cell.id][offset if offset < len(lines[cell.id]) else 0]
