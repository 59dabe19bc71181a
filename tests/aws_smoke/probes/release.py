"""A plugin that is published, and rolled back, while events come."""

import json
import shutil
import tempfile
import threading
from pathlib import Path

from deployment import ROOT, first_times
from probe import Probe, Seen

# The word for a submitted approval in the released plugin, and a word of the same length, to tell two builds apart.
ONE, TWO = "pending", "waiting"


def make(folder, word):
    """A folder with the approval plugin as it was built, which says `word`."""
    source = Path(ROOT, "plugins/approval")
    case = folder / "cases/submitted"
    shutil.copytree(source / "cases/submitted", case)
    component = (source / "plugin.wasm").read_bytes()
    if component.count(ONE.encode()) != 1:
        raise RuntimeError(f"plugins/approval/plugin.wasm does not have the word {ONE} once: build it with `make plugins`")
    (folder / "plugin.wasm").write_bytes(component.replace(ONE.encode(), word.encode()))
    expected = (case / "expected.json").read_text()
    (case / "expected.json").write_text(expected.replace(f'"{ONE}"', f'"{word}"'))


class Traffic:
    """Posts an event of one group every half second, until `stop`."""

    def __init__(self, deployment, run):
        self.deployment, self.run, self.sent = deployment, run, 0
        self.stopped, self.error = threading.Event(), None
        self.thread = threading.Thread(target=self.post, daemon=True)
        self.thread.start()

    def post(self):
        try:
            self.post_all()
        except OSError as error:
            # Nobody knows whether that event was stored.
            self.error = error

    def post_all(self):
        while not self.stopped.wait(0.5):
            event = {
                "event": "approval.submitted", "event_id": f"{self.run}-{self.sent}", "occurred_at": "2026-03-02T09:14:58Z",
                "workflow": {"id": self.run, "title": f"{self.run} {self.sent}"},
            }
            if self.deployment.post("approval", json.dumps(event).encode()) == 202:
                self.sent += 1

    def stop(self):
        self.stopped.set()
        self.thread.join()
        if self.error:
            raise self.error


def run(deployment, clock):
    run, registry = deployment.run_id("release"), deployment.outputs["registry_url"]
    approvals = lambda: [json.loads(record["body"]) for record in deployment.records(run)]
    last = lambda: approvals()[-1]["status"] if approvals() else None
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder, "one/approval"), Path(folder, "two/approval")
        make(one, ONE)
        make(two, TWO)
        deployment.towpath("plugin", "publish", one, "--to", registry)
        traffic = Traffic(deployment, run)
        try:
            clock.wait_until(lambda: last() == ONE, "the first build at work", 120)
            deployment.towpath("plugin", "publish", two, "--to", registry)
            clock.wait_until(lambda: last() == TWO, "the second build at work", 120)
            deployment.towpath("plugin", "rollback", "approval", "--registry", registry)
            clock.wait_until(lambda: last() == ONE, "the first build at work again", 120)
        finally:
            traffic.stop()
    clock.holds(lambda: len(order(approvals())) >= traffic.sent, "every event at the target", deployment.sizes.delivery_seconds)
    return judge(traffic.sent, approvals(), len(deployment.letters(f"approval/{run}")))


def order(approvals):
    return first_times([int(approval["title"].split()[1]) for approval in approvals])


def judge(sent, approvals, dead):
    """Several functions may swap at different times, so the number of swaps is told, not judged."""
    arrived, statuses = order(approvals), [approval["status"] for approval in approvals]
    swaps = sum(before != after for before, after in zip(statuses, statuses[1:]))
    ordered = arrived == list(range(sent))
    text = (
        f"{sent} events, {len(arrived)} delivered, {dead} dead letters, order {'kept' if ordered else 'BROKEN or events missing'}; "
        f"{swaps} swaps seen"
    )
    return Seen(text, ordered and dead == 0)


PROBE = Probe("release", "a release and a rollback take effect under traffic; no event is lost or overtaken", run, 600)
