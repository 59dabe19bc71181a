"""A redrive as the console does it, of letters that the host sent."""

import time

from deployment import first_times, numbers
from probe import Probe, Seen


def arn(deployment, url):
    answer = deployment.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]


def ended(deployment, source):
    """The last task of a queue, if it is over."""
    tasks = deployment.sqs.list_message_move_tasks(SourceArn=source, MaxResults=1).get("Results", [])
    return tasks[0] if tasks and tasks[0]["Status"] not in ("RUNNING", "CANCELLING") else None


def move(deployment, clock, source, **destination):
    """Starts a task and waits for its end: its status and how many it moved."""
    try:
        deployment.sqs.start_message_move_task(SourceArn=source, **destination)
    except deployment.sqs.exceptions.ClientError as error:
        return f"refused ({error.response['Error']['Code']})"
    task = clock.wait_until(lambda: ended(deployment, source), "the end of the move task", 120)
    reason = f" ({task['FailureReason']})" if task.get("FailureReason") else ""
    return f"{task['Status']}{reason}, moved {task.get('ApproximateNumberOfMessagesMoved', 0)}"


def run(deployment, clock):
    run = deployment.run_id("redrive")
    refused_until = time.time() + deployment.sizes.refuse_seconds
    for number in range(2):
        deployment.store(clock, "plain", deployment.event(run, number, refuse_until=refused_until))
    letters = lambda: deployment.letters(f"plain/{run}")
    clock.wait_until(lambda: len(letters()) == 2, "two dead letters", deployment.sizes.refuse_seconds + 60)
    clock.wait_until(lambda: time.time() > refused_until + 1, "the target's recovery")
    source, queue = arn(deployment, deployment.dead_url), arn(deployment, deployment.queue_url)
    without = move(deployment, clock, source)
    delivered = lambda: [number for record in deployment.records(run) if record["status"] == 200 for number in numbers([record])]
    if delivered():
        return Seen(f"without destination: {without}, and the events were delivered", None)
    moved = move(deployment, clock, source, DestinationArn=queue)
    clock.wait_until(lambda: len(set(delivered())) == 2, f"both events at the target (task: {moved})", 120)
    text = f"without destination: {without}; to the queue: {moved}, delivered {delivered()}, letters left {len(letters())}"
    return Seen(text, first_times(delivered()) == [0, 1] and not letters())


PROBE = Probe(
    "redrive", "StartMessageMoveTask with the queue as destination: the letters are delivered in order. Without one it moves nothing, "
    "because letters of the host name no source", run, 420,
    # It moves the letters of other probes too.
    alone=True,
)
