"""The process that holds a model: framed JSON in, framed JSON out; gone when its parent is.

Started as `python -m proofreel.adapters.whisper_child`. Requests: {"do": "load", …} answered by
{"loaded": …}; {"do": "transcribe", …} answered by any number of {"progress": fraction} and one
{"result": …}. A failure that leaves the process usable is {"failed": …}.
"""

from __future__ import annotations

import json
import os
import queue
import select
import struct
import threading
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from proofreel.adapters.device import DeviceChoice
    from proofreel.adapters.whisper_decode import Recogniser

_HEADER = struct.Struct(">I")
MAX_MESSAGE_BYTES = 512 << 20  # the words of a hundred hours take about 100 MB
_PARENT_POLL_S = 1.0


def write_message(stream: IO[bytes], message: dict[str, Any]) -> None:
    """Write one message: its length as four bytes, then JSON in UTF-8."""
    data = json.dumps(message, separators=(",", ":")).encode()
    stream.write(_HEADER.pack(len(data)) + data)
    stream.flush()


def read_message(stream: IO[bytes]) -> dict[str, Any] | None:
    """Read one message; None at the stream's end. Raises ValueError for what is no message."""
    header = _read_exactly(stream, _HEADER.size)
    if header is None:
        return None
    (size,) = _HEADER.unpack(header)
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {size} bytes")
    data = _read_exactly(stream, size)
    if data is None:
        return None
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message


def _read_exactly(stream: IO[bytes], size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = stream.read(size - len(data))  # of a pipe: what is there, at least one byte
        if not part:
            return None
        data += part
    return bytes(data)


class _Requests:
    """Reads requests in a thread of its own, which also is the lifeline: its end ends us at once.

    os._exit, because CTranslate2 and onnxruntime can deadlock in an orderly exit.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._parent = stream, os.getppid()
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> dict[str, Any]:
        return self._queue.get()

    def _read(self) -> None:
        try:
            while True:
                # The parent's end of the pipe may live on in another child it forked: ask too.
                while not select.select([self._stream], [], [], _PARENT_POLL_S)[0]:
                    if os.getppid() != self._parent:
                        os._exit(0)
                request = read_message(self._stream)
                if request is None:
                    os._exit(0)
                self._queue.put(request)
        finally:
            os._exit(1)


class _Worker:
    """Answers requests with the model it was told to load."""

    def __init__(self, replies: BinaryIO) -> None:
        self._replies = replies
        self._recogniser: Recogniser | None = None
        self._choice: DeviceChoice | None = None
        self._load_args: tuple[str, int] = ("", 0)

    def answer(self, request: dict[str, Any]) -> None:
        try:
            reply = self._load(request) if request["do"] == "load" else self._transcribe(request)
        except Exception as error:  # a process boundary: whatever it was goes to the parent as text
            traceback.print_exc()
            reply = {"failed": f"{type(error).__name__}: {error}"}
        self._reply(reply)

    def _reply(self, message: dict[str, Any]) -> None:
        write_message(self._replies, message)

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        import onnxruntime

        from proofreel.adapters.device import choose_device, fall_back, real_probe
        from proofreel.adapters.whisper_decode import Recogniser

        onnxruntime.disable_telemetry_events()  # nothing leaves the machine
        self._load_args = str(request["folder"]), int(request["threads"]) or _cores()
        probe = real_probe()
        choice = choose_device(str(request["device"]), str(request["compute_type"]), probe)
        try:
            self._recogniser = Recogniser(self._load_args[0], choice, self._load_args[1])
        except RuntimeError as error:
            if choice.device == "cpu":
                raise
            choice = fall_back(choice, str(error), probe)
            self._recogniser = Recogniser(self._load_args[0], choice, self._load_args[1])
        self._choice = choice
        return {"loaded": self._about(), "multilingual": self._recogniser.multilingual}

    def _about(self) -> dict[str, str]:
        choice = self._choice
        if choice is None:
            return {}
        return {"device": choice.device, "compute_type": choice.compute_type, "note": choice.note}

    def _transcribe(self, request: dict[str, Any]) -> dict[str, Any]:
        from proofreel.adapters.audio_file import read_pcm
        from proofreel.adapters.whisper_decode import DecodeOptions

        samples = read_pcm(Path(request["audio"]))
        options = DecodeOptions(**request["options"])

        def on_progress(fraction: float) -> None:
            self._reply({"progress": fraction})

        if self._recogniser is None:
            raise ValueError("transcribe before load")
        try:
            result = self._recogniser.transcribe(samples, options, on_progress)
        except RuntimeError as error:
            if self._choice is None or self._choice.device == "cpu":
                raise
            self._leave_gpu(str(error))
            result = self._recogniser.transcribe(samples, options, on_progress)
        return {"result": result, "device": self._about()}

    def _leave_gpu(self, reason: str) -> None:
        from proofreel.adapters.device import fall_back, real_probe
        from proofreel.adapters.whisper_decode import Recogniser

        if self._choice is not None:
            self._choice = fall_back(self._choice, reason, real_probe())
            self._recogniser = None  # its memory first
            self._recogniser = Recogniser(self._load_args[0], self._choice, self._load_args[1])


def _cores() -> int:
    """Return how many cores we may use; more than 16 threads no longer make Whisper faster."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux: a container may have fewer
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, 16)


def main() -> None:
    """Answer requests until the parent goes or kills us."""
    # Libraries print to stdout: replies take its place, and what they print goes to stderr.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests, worker = _Requests(os.fdopen(os.dup(0), "rb", buffering=0)), _Worker(replies)
    while True:
        worker.answer(requests.next())


if __name__ == "__main__":
    main()
