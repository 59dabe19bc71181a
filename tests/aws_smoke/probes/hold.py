"""A hold with traffic: nothing is delivered, nothing dead-lettered, and the order is kept."""

import time

from deployment import first_times, numbers
from probe import Probe, Seen

GROUPS = 4


def run(deployment, clock):
    run, config = deployment.run_id("hold"), deployment.outputs["config_url"]
    sent = {group: 0 for group in range(GROUPS)}
    deployment.towpath("hold", "held", "-c", config, "--for", "2h", "--reason", "smoke test")
    try:
        clock.pause(deployment.sizes.notice_seconds)
        ends = time.monotonic() + deployment.sizes.hold_seconds
        while time.monotonic() < ends:
            for group in sent:
                if deployment.post("held", deployment.event(run, sent[group], group)) == 202:
                    sent[group] += 1
            clock.pause(deployment.sizes.hold_pause)
        early = len(deployment.records(run))
    finally:
        deployment.towpath("resume", "held", "-c", config)
    total = sum(sent.values())
    arrived = lambda: {group: numbers(of_group(deployment, run, group)) for group in sent}
    clock.holds(lambda: sum(len(set(got)) for got in arrived().values()) >= total, "every event at the target", deployment.sizes.delivery_seconds)
    got = arrived()
    dead = sum(len(deployment.letters(f"held/{run}-{group}")) for group in sent)
    ordered = all(first_times(got[group]) == list(range(sent[group])) for group in sent)
    delivered = sum(len(set(numbers)) for numbers in got.values())
    text = (
        f"{total} events in {deployment.sizes.hold_seconds} s of hold: {early} delivered during it, {delivered} after, {dead} dead letters, "
        f"order {'kept' if ordered else 'BROKEN or events missing'}"
    )
    return Seen(text, early == 0 and dead == 0 and ordered and total > 0)


def of_group(deployment, run, group):
    return [record for record in deployment.records(run) if f'"{run}-{group}"' in record["body"]]


PROBE = Probe(
    "hold", "during a hold nothing is delivered; after it everything is, in the order of each group; nothing is dead-lettered", run, 1200
)
