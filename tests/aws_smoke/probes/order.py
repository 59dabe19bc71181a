"""Many events over many groups."""

from concurrent.futures import ThreadPoolExecutor

from deployment import first_times, numbers
from probe import Probe, Seen


def run(deployment, clock):
    run, groups = deployment.run_id("order"), deployment.sizes.groups
    each = deployment.sizes.events // groups

    def send(group):
        """Sends the events of a group one after the other."""
        for number in range(each):
            deployment.store(clock, "plain", deployment.event(run, number, group))

    with ThreadPoolExecutor(groups) as pool:
        for _ in pool.map(send, range(groups)):
            pass

    def arrived():
        records, got = deployment.records(run), {}
        for record in records:
            group = record["body"].split('"group": "')[1].split('"')[0]
            got.setdefault(group, []).extend(numbers([record]))
        return got

    total = each * groups
    clock.holds(lambda: sum(len(set(got)) for got in arrived().values()) >= total, "every event at the target", deployment.sizes.delivery_seconds)
    got = arrived()
    delivered = sum(len(set(of_group)) for of_group in got.values())
    repeats = sum(len(of_group) for of_group in got.values()) - delivered
    broken = [group for group, of_group in got.items() if first_times(of_group) != sorted(set(of_group))]
    text = f"{delivered} of {total} events delivered, {repeats} twice; order broken in {len(broken)} of {groups} groups"
    return Seen(text, delivered == total and not broken)


PROBE = Probe("order", "every event of 20 groups is delivered, each group in order; repeats are allowed", run, 600)
