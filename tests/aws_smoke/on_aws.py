"""A deployment on AWS, by Terraform: applied, read, destroyed, and looked for afterwards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from botocore.config import Config

from deployment import ROOT, Deployment, Sizes
from probe import Clock

PLAN = """\
Account {account}, region {region}. Everything is named {name}-… and has the tags {tags}.
Creates: 2 HTTP APIs, 3 Lambda functions (none with reserved concurrency), 3 SQS queues (2 more during a probe), 1 S3 bucket,
4 IAM roles, 3 log groups, 9 CloudWatch alarms and 1 dashboard. Nothing that exists is changed.
Cost, by list prices: roughly 0.10 USD for one run of about 20 minutes (some 10,000 requests to SQS, Lambda and API Gateway, and an hour of
alarms and metrics), below 1 USD in any case. Kept with --keep it costs roughly 0.50 USD a day.
State and logs: {folder}
"""


class Terraform:
    """A copy of the module and the example, in which Terraform keeps its state."""

    def __init__(self, folder, environment):
        self.folder, self.environment = Path(folder), environment
        self.example = self.folder / "tests/aws_smoke/example"

    def prepare(self, variables):
        ignore = shutil.ignore_patterns(".terraform*", "*.tfstate*", "examples", "tests")
        shutil.copytree(Path(ROOT, "terraform"), self.folder / "terraform", ignore=ignore)
        shutil.copytree(Path(__file__).with_name("example"), self.example, ignore=ignore)
        recorder = self.folder / "recorder.zip"
        with zipfile.ZipFile(recorder, "w") as archive:
            archive.write(self.example / "recorder.py", "recorder.py")
        said = {**variables, "recorder_zip": str(recorder)}
        (self.example / "terraform.tfvars.json").write_text(json.dumps(said, indent=2))
        plugins = os.environ.get("TF_PLUGIN_DIR")
        self.run("init", *([f"-plugin-dir={plugins}"] if plugins else []))

    def apply(self):
        self.run("apply", "-auto-approve")
        return {name: output["value"] for name, output in json.loads(self.run("output", "-json", quiet=True)).items()}

    def destroy(self):
        """Destroys all it can, in two attempts, and returns what is left in the state."""
        if not (self.example / "terraform.tfstate").exists():
            return []
        for _ in range(2):
            try:
                self.run("destroy", "-auto-approve")
                return []
            except RuntimeError as error:
                print(error, file=sys.stderr)
        try:
            return [f"in Terraform's state: {address}" for address in self.run("state", "list", quiet=True).split()]
        except RuntimeError as error:
            return [f"what is in {self.example}/terraform.tfstate: {error}"]

    def run(self, command, *arguments, quiet=False):
        """Runs Terraform in a session of its own: Ctrl-C reaches this program, which then lets Terraform end what it began."""
        options = [] if command in ("output", "state") else ["-input=false", "-no-color"]
        if not quiet:
            print(f"terraform {command} …", file=sys.stderr, flush=True)
        with subprocess.Popen(
            ["terraform", command, *arguments[:1], *options, *arguments[1:]],
            cwd=self.example, env={**os.environ, **self.environment, "TF_IN_AUTOMATION": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        ) as running:
            try:
                said, _ = running.communicate()
            except KeyboardInterrupt:
                print("interrupted: Terraform ends what it began", file=sys.stderr)
                running.send_signal(signal.SIGINT)
                running.communicate()
                raise
        (self.folder / f"{command}.log").write_text(said)
        if running.returncode:
            raise RuntimeError(f"terraform {command} failed:\n{said[-4000:]}")
        return said


def tags(project, budget, days=1):
    expires = datetime.now(timezone.utc) + timedelta(days=days)
    return {"project": project, "budget": budget, "expires": expires.strftime("%Y-%m-%d")}


class OnAws:
    """The account that a session's credentials belong to."""

    def __init__(self, name, session, binary, zips, architecture, tags):
        self.name, self.session, self.binary, self.tags, self.deployed = name, session, binary, tags, None
        self.folder = Path(ROOT, "target/aws-smoke", name)
        region = {"AWS_REGION": session.region_name, "AWS_DEFAULT_REGION": session.region_name}
        self.environment = {**region, "AWS_PROFILE": session.profile_name} if os.environ.get("AWS_PROFILE") else region
        self.terraform = Terraform(self.folder, self.environment)
        self.variables = {"name": name, "tags": tags, "architecture": architecture, "host_zip": zips[0], "ingest_zip": zips[1]}

    def client(self, service):
        return self.session.client(service, config=Config(max_pool_connections=64, read_timeout=60))

    def plan(self, account):
        shown = ", ".join(f"{key}={value}" for key, value in self.tags.items())
        return PLAN.format(account=account, region=self.session.region_name, name=self.name, tags=shown, folder=self.folder)

    def deploy(self):
        self.folder.mkdir(parents=True)
        self.terraform.prepare(self.variables)
        applied = self.terraform.apply()
        self.deployed = Deployment(
            self.name, applied["towpath"], applied["records_url"], applied["stage"], self.client, self.environment, self.binary,
            on_aws=True, sizes=Sizes(),
        )
        # New roles, stages and names work after a while. If that is not enough, the probes say so.
        Clock(180).holds(self.takes_events, "202", 180)
        return self.deployed

    def takes_events(self):
        try:
            return self.deployed.post("plain", self.deployed.event("warm", 0)) == 202
        except OSError:
            return False

    def destroy(self):
        """Destroys everything and returns what is left: in Terraform's state, or under the name of this run."""
        if self.deployed:
            self.deployed.close()
        return self.terraform.destroy() + self.named()

    def named(self):
        """What exists under the name of this run. A service that cannot be asked is named too."""
        found = []
        for what, names in LOOKS.items():
            try:
                found += [f"{what} {name}" for name in names(self.client, f"{self.name}-")]
            except Exception as error:
                found.append(f"{what}: cannot be listed: {error}")
        return found


def pages(client, operation, key, **arguments):
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, [])


# Each takes a function that makes clients, and the prefix of the names.
LOOKS = {
    "queue": lambda client, prefix: pages(client("sqs"), "list_queues", "QueueUrls", QueueNamePrefix=prefix),
    "function": lambda client, prefix: (
        function["FunctionName"]
        for function in pages(client("lambda"), "list_functions", "Functions") if function["FunctionName"].startswith(prefix)
    ),
    # Lambda may write, and so make, a log group again after it was destroyed.
    "log group": lambda client, prefix: (
        group["logGroupName"]
        for group in pages(client("logs"), "describe_log_groups", "logGroups", logGroupNamePrefix=f"/aws/lambda/{prefix}")
    ),
    "bucket": lambda client, prefix: (
        bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"] if bucket["Name"].startswith(prefix)
    ),
    "role": lambda client, prefix: (
        role["RoleName"] for role in pages(client("iam"), "list_roles", "Roles") if role["RoleName"].startswith(prefix)
    ),
    "API": lambda client, prefix: (
        api["Name"]
        for api in pages(client("apigatewayv2"), "get_apis", "Items") if f"{api['Name']}-".startswith(prefix)
    ),
    "alarm": lambda client, prefix: (
        alarm["AlarmName"] for alarm in pages(client("cloudwatch"), "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix)
    ),
    "dashboard": lambda client, prefix: (
        board["DashboardName"]
        for board in pages(client("cloudwatch"), "list_dashboards", "DashboardEntries", DashboardNamePrefix=prefix[:-1])
    ),
}
