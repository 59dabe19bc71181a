"""A probe: what it expects, what it saw, and how it is run."""

import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

PASS, FAIL, UNKNOWN, NOT_RUN = "pass", "fail", "unknown", "not run"


class TooLate(Exception):
    """A condition did not hold before the probe's deadline."""


@dataclass
class Seen:
    """What a probe saw, and whether that is what it expects. None: that cannot be told."""

    text: str
    as_expected: bool | None


@dataclass
class Result:
    probe: str
    expected: str
    seen: str
    result: str
    seconds: float

    def as_json(self):
        return asdict(self)


class Clock:
    """The deadline of one probe: every wait goes through it."""

    def __init__(self, seconds):
        self.ends = time.monotonic() + seconds

    def wait_until(self, condition, what, seconds=None):
        """Waits for a condition and returns what it returns: at most so many seconds, and never beyond the deadline."""
        ends = self.ends if seconds is None else min(self.ends, time.monotonic() + seconds)
        while not (found := condition()):
            if time.monotonic() >= ends:
                raise TooLate(what)
            time.sleep(0.2)
        return found

    def holds(self, condition, what, seconds):
        """Whether a condition comes true within so many seconds."""
        try:
            return self.wait_until(condition, what, seconds)
        except TooLate:
            return None

    def pause(self, seconds):
        """Lets time pass."""
        if time.monotonic() + seconds > self.ends:
            raise TooLate(f"{seconds} s more")
        time.sleep(seconds)


@dataclass
class Probe:
    """`run(deployment, clock)` returns what was seen. `needs` names what only AWS has; `alone` runs it before all others."""

    name: str
    expected: str
    run: callable
    seconds: int
    needs: str | None = None
    alone: bool = False

    def result(self, deployment):
        if self.needs and not deployment.on_aws:
            return Result(self.name, self.expected, f"needs AWS: {self.needs}", NOT_RUN, 0)
        started = time.monotonic()
        seen = self.see(deployment)
        result = UNKNOWN if seen.as_expected is None else PASS if seen.as_expected else FAIL
        return Result(self.name, self.expected, seen.text, result, round(time.monotonic() - started, 1))

    def see(self, deployment):
        try:
            return self.run(deployment, Clock(self.seconds))
        except TooLate as late:
            return Seen(f"not within its time: {late}", None)
        except Exception as error:
            traceback.print_exc()
            return Seen(f"the probe broke: {type(error).__name__}: {error}", None)


def run_all(probes, deployment, done):
    """Runs the probes that must be alone, then all others at once. `done` gets each result when it is there."""
    results = {}

    def run(probe):
        results[probe.name] = probe.result(deployment)
        done(results[probe.name])

    for probe in probes:
        if probe.alone:
            run(probe)
    others = [probe for probe in probes if not probe.alone]
    pool = ThreadPoolExecutor(max(1, len(others)))
    try:
        for running in [pool.submit(run, probe) for probe in others]:
            running.result()
    finally:
        # After Ctrl-C nobody waits for probes: their deployment is destroyed under them.
        pool.shutdown(wait=False, cancel_futures=True)
    return [results[probe.name] for probe in probes]
