"""A route behind a stage that has a name."""

from probe import Probe, Seen


def run(deployment, clock):
    run = deployment.run_id("stage")
    statuses = []

    def stored():
        statuses.append(deployment.post("plain", deployment.event(run, 0), stage=deployment.stage))
        return statuses[-1] == 202

    # A new stage answers 404 for a while.
    if not clock.holds(stored, "202", min(60, deployment.sizes.delivery_seconds)):
        return Seen(f"answered {statuses[-1]}", False)
    clock.wait_until(lambda: deployment.records(run), "the event at the target")
    return Seen("answered 202, delivered", True)


PROBE = Probe("stage", "a POST to /STAGE/hooks/plain is stored and delivered", run, 120, "API Gateway makes the path of a stage")
