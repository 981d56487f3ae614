"""Run checks side by side, one for each of at most four cores, and show whole what each wrote.

    "-m tests.check_style" ... --python, JOBS at a time--> output as each ends; failures at the end

The longest is best given first. The exit status is 1 if a check fails; Ctrl-C ends all of them.

Run from the repository's root: python -m tests.check "-m tests.check_style" "-m ruff check"
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time

CORES = os.cpu_count() or 1
JOBS = min(CORES, 4)            # a check needs up to 2 GB of memory
PATIENCE = 10                   # seconds that Ctrl-C leaves a check to clean up
LAST = 40                       # lines of a failure that are shown again at the end


class Check:
    """A check that runs: its command, its process, and the file that it writes to."""

    def __init__(self, command):
        self.command, self.began = command, time.monotonic()
        self.output = tempfile.TemporaryFile()      # noqa: SIM115  gone with this object
        self.process = subprocess.Popen(
            [sys.executable, *shlex.split(command)], stdout=self.output, stderr=subprocess.STDOUT,
            start_new_session=True,             # a terminal's Ctrl-C is for this process to pass on
            env={"OMP_NUM_THREADS": str(CORES // JOBS), "PYTHONUNBUFFERED": "1", **os.environ})
        print(f"begun: python {command}", flush=True)

    def tell_all(self):
        """Say how the check ended, and write its whole output."""
        status, seconds = self.process.returncode, time.monotonic() - self.began
        verdict = f"failed with status {status}" if status else "passed"
        print(f"\n=== python {self.command}: {verdict}, {seconds:.0f} s", flush=True)
        self.tell(last=0)

    def tell(self, last):
        """Write the last lines of the output; with 0, all."""
        self.output.seek(0)
        sys.stdout.buffer.writelines(self.output.readlines()[-last:])
        sys.stdout.flush()

    def interrupt(self):
        """Pass Ctrl-C on to the check and what it started."""
        if hasattr(os, "killpg"):               # Windows has told them itself
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGINT)

    def end(self):
        """Wait until the check has cleaned up, but not for long."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()


def run(commands):
    """Run the commands, show what each wrote when it ends, and return those that failed."""
    waiting, running, failed = list(commands), [], []
    try:
        while waiting or running:
            while waiting and len(running) < JOBS:
                running.append(Check(waiting.pop(0)))
            time.sleep(0.1)
            for check in [check for check in running if check.process.poll() is not None]:
                running.remove(check)
                check.tell_all()
                failed += [check] if check.process.returncode else []
    finally:
        for check in running:
            check.interrupt()
        for check in running:
            check.end()
    return failed


def main(commands):
    began = time.monotonic()
    failed = run(commands)
    for check in failed[:1]:
        print(f"\nThe first failure, of python {check.command}, ended so:")
        check.tell(last=LAST)
    print(f"\n{len(commands)} checks in {time.monotonic() - began:.0f} s, {len(failed)} failed")
    for check in failed:
        print(f"FAILED: python {check.command}")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted: no check runs any more")
