"""A hand-written queue and its route become those of the module, with the events in it; later the deployment is renamed."""

import pytest

from applied import PROVIDER, Terraform

HEAD = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
"""

# With what moto does not change afterwards: AWS does.
QUEUES = """
resource "aws_sqs_queue" "letters" {
  name                      = "theirs-dlq.fifo"
  fifo_queue                = true
  deduplication_scope       = "queue"
  fifo_throughput_limit     = "perQueue"
  message_retention_seconds = 345600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "events" {
  name                        = "theirs.fifo"
  fifo_queue                  = true
  deduplication_scope         = "queue"
  fifo_throughput_limit       = "perQueue"
  content_based_deduplication = true
  visibility_timeout_seconds  = 180
  message_retention_seconds   = 1209600
  receive_wait_time_seconds   = 20
  sqs_managed_sse_enabled     = true
}
"""

API = """
resource "aws_apigatewayv2_api" "theirs" {
  name          = "theirs"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_stage" "theirs" {
  api_id      = aws_apigatewayv2_api.theirs.id
  name        = "prod"
  auto_deploy = true
}
"""

ROUTE = """
resource "aws_apigatewayv2_route" "hook" {
  api_id    = aws_apigatewayv2_api.theirs.id
  route_key = "POST /sqs-hook"
}
"""

MODULE = """
module "towpath" {
  source = "../terraform"

  name     = "%s"
  host_zip = "../function.zip"

  api_name  = "theirs"
  api_stage = "prod"

  path_prefix = ""
  routes      = [{ path = "sqs-hook", group = "sss", target = "sss", ingress = "direct" }]
  targets     = { sss = { url = "https://sss.example.com" } }

  content_based_deduplication   = true
  deduplication_scope           = "queue"
  batch_size                    = 1
  maximum_concurrency           = 2
  timeout                       = 30
  dead_letter_retention_seconds = 345600
  start_paused                  = true
  # moto applies the Deny of a bucket policy without evaluating its conditions.
  bucket_tls_only               = false
  create_alarms                 = false
  create_dashboard              = false
}

output "hook_urls" {
  value = module.towpath.hook_urls
}
"""

MOVED = """
moved {
  from = aws_sqs_queue.events
  to   = module.towpath.aws_sqs_queue.this
}

moved {
  from = aws_sqs_queue.letters
  to   = module.towpath.aws_sqs_queue.dead_letters
}

moved {
  from = aws_apigatewayv2_route.hook
  to   = module.towpath.aws_apigatewayv2_route.direct["sqs-hook"]
}
"""


@pytest.fixture
def theirs(aws, tmp_path):
    """The hand-written set-up, with one event in its queue. Returns Terraform, a function that writes the config, and the queue's URL."""
    terraform = Terraform(aws, tmp_path, "root", PROVIDER)
    (tmp_path / "terraform").symlink_to(tmp_path, target_is_directory=True)

    def write(*parts):
        (terraform.folder / "main.tf").write_text("".join((HEAD, API, *parts)))

    write(QUEUES, ROUTE)
    terraform.init()
    terraform.apply()
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="theirs.fifo")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="before", MessageGroupId="sss")
    yield terraform, write, url
    terraform.destroy()


def waiting(aws, url):
    return aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"]


def queues(aws):
    return {url.rsplit("/", 1)[1] for url in aws.client("sqs").list_queues().get("QueueUrls", []) if "towpath-example" not in url}


def test_moved_queues_keep_their_events_and_so_do_renamed_and_imported_ones(aws, theirs):
    terraform, write, url = theirs
    write(MODULE % "sss-forwarder", MOVED)
    terraform.init()
    _, plan = terraform.changes()
    assert "0 to destroy" in plan and "must be replaced" not in plan, plan
    terraform.apply()
    assert queues(aws) == {"theirs.fifo", "theirs-dlq.fifo"} and waiting(aws, url) == "1"
    api = aws.client("apigatewayv2")
    (found,) = [found["ApiId"] for found in api.get_apis()["Items"] if found["Name"] == "theirs"]
    (route,) = api.get_routes(ApiId=found)["Items"]
    assert route["RouteKey"] == "POST /sqs-hook" and route["Target"].startswith("integrations/"), "the route was never gone"
    said = terraform.run("output", "-json", "hook_urls").stdout
    assert said.strip().endswith('.amazonaws.com/prod/sqs-hook"}'), said

    # Another name for everything but the queues.
    write(MODULE % "sss-events", MOVED)
    terraform.apply()
    assert queues(aws) == {"theirs.fifo", "theirs-dlq.fifo"} and waiting(aws, url) == "1"

    # And as if Terraform had never known the queue: by its URL, whatever its name.
    terraform.run("state", "rm", "module.towpath.aws_sqs_queue.this")
    terraform.run("import", "-input=false", "module.towpath.aws_sqs_queue.this", url)
    _, plan = terraform.changes()
    assert "0 to destroy" in plan or "No changes" in plan, plan
    assert waiting(aws, url) == "1"
