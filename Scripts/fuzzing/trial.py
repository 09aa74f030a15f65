"""Trying one input in a process of its own, which it may end, and judging what came of it."""

import contextlib
import faulthandler
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback

from places import CORPUS

#: Seconds that reading an input may take; a busy machine is slow, and what goes round for ever stays longer.
PATIENCE = 90
#: Bytes of addresses that reading an input may take.
MEMORY = 16 << 30

#: What comes of an input, the worst first. Those before `REFUSED` are finds.
SIGNAL, HANG, BROKEN, WRONG, REFUSED, EDITED, EQUAL = OUTCOMES = (
    "signal", "hang", "broken", "wrong", "refused", "edited", "equal"
)  # fmt: skip
FINDS = OUTCOMES[: OUTCOMES.index(REFUSED)]


class Record:
    """What was seen while an input was read: for each outcome, where.

    Args:
        is_edit: whether the input says well and truly something else than its original, so that other values are its
            own.
    """

    #: Places that are kept of each outcome.
    KEPT = 8

    def __init__(self, is_edit=False):
        self.is_edit = is_edit
        self.seen = {}

    def add(self, outcome, what):
        if outcome == WRONG and self.is_edit:
            outcome = EDITED
        places = self.seen.setdefault(outcome, [])
        if len(places) < self.KEPT:
            places.append(what)

    def compare(self, what, found, expected):
        """Takes down whether arrays are equal to the bit."""
        is_equal = (
            found.shape == expected.shape and found.dtype == expected.dtype and found.tobytes() == expected.tobytes()
        )
        self.add(EQUAL if is_equal else WRONG, what)

    def refused(self, what, error):
        """Takes down an error of the package, which must say what is wrong and what to do."""
        self.add(REFUSED if error.message and error.remedy else BROKEN, f"{what}: {error}")

    def run(self, *arguments, patience=PATIENCE, stop_after=None):
        """Runs the command, and takes down how it ended.

        Args:
            stop_after: seconds after which it is asked to stop, as what it was told to do may take for ever.

        Returns:
            What it printed where it ended well, else None.
        """
        what = f"corpus {arguments[0]}"
        process = subprocess.Popen(
            [CORPUS, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        is_stopped = False
        try:
            try:
                output, error = process.communicate(timeout=stop_after or patience)
            except subprocess.TimeoutExpired:
                if stop_after is None:
                    raise
                is_stopped = True
                process.send_signal(signal.SIGINT)
                output, error = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.add(HANG, f"{what} does not end")
            return None
        said = error.decode("utf-8", "replace").strip()
        if process.returncode < 0:
            self.add(SIGNAL, f"{what}: signal {-process.returncode}: {said[-300:]}")
        elif process.returncode == 0:
            return output
        elif is_stopped or (process.returncode == 1 and "corpus: " in said):
            self.add(REFUSED, f"{what}: {said[-300:]}")
        else:
            self.add(BROKEN, f"{what}: status {process.returncode}: {said[-300:]}")
        return None

    def outcome(self):
        """The worst of what was seen."""
        return next((outcome for outcome in OUTCOMES if outcome in self.seen), EQUAL)


def attempt(body, is_edit=False, patience=PATIENCE):
    """Calls `body(record)` in a child of this process, and returns the record, whatever became of the child.

    It is a process group of its own, all of which ends here.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            _be_child(body, Record(is_edit), writer)
        finally:
            # Whatever happens, it is not to go on as its parent does.
            os._exit(1)
    os.close(writer)
    # Here, too, as it may not have come to it when it is ended.
    with contextlib.suppress(PermissionError, ProcessLookupError):
        os.setpgid(child, child)
    try:
        text, is_late = _read(reader, time.monotonic() + patience)
    finally:
        # Also what it has started, and what it waits for.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    record = Record(is_edit)
    if text.endswith("\n"):
        record.seen = json.loads(text)
    elif is_late:
        record.add(HANG, "reading does not end")
    elif os.WIFSIGNALED(status):
        record.add(SIGNAL, f"reading ends by signal {os.WTERMSIG(status)}")
    else:
        record.add(BROKEN, f"reading ends with status {status}")
    return record


def _be_child(body, record, writer):
    os.setpgid(0, 0)
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        body(record)
    except BaseException:
        record.add(BROKEN, traceback.format_exc()[-1500:])
    os.write(writer, (json.dumps(record.seen) + "\n").encode())
    # Threads of the library may still run, and nothing is to be tidied up.
    os._exit(0)


def _read(reader, deadline):
    """What a pipe gives until its end, or until a moment; and whether that came first."""
    pieces = []
    with os.fdopen(reader, "rb", buffering=0) as file:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([file], [], [], left)[0]:
                return "", True
            piece = file.read(1 << 16)
            if not piece:
                return b"".join(pieces).decode(), False
            pieces.append(piece)
            if piece.endswith(b"\n"):
                return b"".join(pieces).decode(), False
