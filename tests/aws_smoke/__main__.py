"""Deploys Towpath into an AWS account, tries what only AWS can show, and destroys everything again."""

import argparse
import json
import os
import signal
import sys
import uuid
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

import report
from deployment import ROOT
from on_aws import OnAws, tags
from probe import FAIL, UNKNOWN, run_all
from probes import ALL

ENDING = """\
On AWS, AWS_SMOKE_ACCOUNT must be the id of the account that your credentials belong to. Region and credentials come from the AWS environment
variables or profile.

Examples:
  AWS_SMOKE_ACCOUNT=123456789012 AWS_PROFILE=sandbox make aws-smoke
  make aws-smoke SMOKE="--only hold --only order"
  make aws-smoke SMOKE=--local            on this machine, without AWS

Exit codes: 0 all probes passed, or need AWS; 1 a probe failed, or could not tell, or something is left; 2 it could not start; 130 interrupted.
"""


class Refused(Exception):
    """It does not start: nothing was created."""


def arguments():
    parser = argparse.ArgumentParser(
        "aws-smoke", description=__doc__, epilog=ENDING, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--local", action="store_true", help="run on this machine, over moto and Towpath's own SQS endpoint")
    parser.add_argument("--list", action="store_true", help="list the probes and what they expect")
    parser.add_argument("--only", action="append", metavar="PROBE", choices=[probe.name for probe in ALL], help="run only this probe; may be repeated")
    parser.add_argument("--keep", action="store_true", help="destroy nothing, and print the command that does")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--project", default="towpath-smoke", help="the tag project [default: %(default)s]")
    parser.add_argument("--budget", default="towpath-smoke", help="the tag budget [default: %(default)s]")
    parser.add_argument("--arch", default="arm64", choices=["arm64", "x86_64"], help="the zips in dist/ to use [default: %(default)s]")
    return parser.parse_args()


def built(variable, path, make):
    """The path of something that was built, from a variable of the environment or the usual place."""
    found = os.environ.get(variable) or str(Path(ROOT, path))
    if not Path(found).is_file():
        raise Refused(f"{found} does not exist: run `{make}`, or set {variable}")
    return found


def towpath():
    debug = Path(os.environ.get("CARGO_TARGET_DIR", "target"), "debug")
    return built("TOWPATH_BIN", debug / "towpath", "cargo build -p towpath")


def account(session):
    """The account of the credentials, if it is the one that was named."""
    wanted = os.environ.get("AWS_SMOKE_ACCOUNT")
    if not wanted:
        raise Refused("AWS_SMOKE_ACCOUNT is not set: set it to the id of the account to deploy into")
    if not session.region_name:
        raise Refused("no region: set AWS_REGION, or one in the profile")
    try:
        found = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise Refused(f"cannot tell whose credentials these are: {error}") from error
    if found != wanted:
        raise Refused(f"the credentials belong to account {found}, AWS_SMOKE_ACCOUNT is {wanted}")
    return found


def show(result):
    print(f"{result.probe}: {result.result} ({result.seconds} s)", file=sys.stderr, flush=True)


def locally(name, probes):
    from on_this_machine import deployed

    binaries = towpath(), built("TOWPATH_INGEST", Path(os.environ.get("CARGO_TARGET_DIR", "target"), "debug/ingest"), "cargo build -p towpath-lambda-ingest")
    print("On this machine: nothing of this shows what AWS does.", file=sys.stderr)
    with deployed(name, binaries) as deployment:
        return run_all(probes, deployment, show), []


def on_aws(name, probes, options):
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    who = account(session)
    zips = [
        built(f"AWS_SMOKE_{kind.upper()}_ZIP", f"dist/towpath-{kind}-{options.arch}.zip", f"make lambda ARCH={options.arch}")
        for kind in ("host", "ingest")
    ]
    site = OnAws(name, session, towpath(), zips, options.arch, tags(options.project, options.budget))
    print(site.plan(who), file=sys.stderr, flush=True)
    results, left, interrupted = [], [], None
    try:
        results = run_all(probes, site.deploy(), show)
    except KeyboardInterrupt as interrupt:
        interrupted = interrupt
    finally:
        if options.keep:
            print(f"kept. To destroy it: terraform -chdir={site.terraform.example} destroy", file=sys.stderr)
        else:
            signal.signal(signal.SIGINT, lambda *_: print("still destroying: please wait", file=sys.stderr))
            left = site.destroy()
            for what in left:
                print(f"LEFT: {what}", file=sys.stderr)
            print(f"destroyed; {len(left)} things left", file=sys.stderr)
    if interrupted:
        raise interrupted
    return results, left


def main():
    options = arguments()
    probes = [probe for probe in ALL if not options.only or probe.name in options.only]
    if options.list:
        if options.json:
            print(json.dumps([{"probe": probe.name, "expected": probe.expected, "needs": probe.needs} for probe in probes], indent=2))
        else:
            for probe in probes:
                print(f"{probe.name}: {probe.expected}{f' [needs AWS: {probe.needs}]' if probe.needs else ''}")
        return 0
    # SIGTERM destroys too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = f"smoke-{uuid.uuid4().hex[:8]}"
    try:
        results, left = locally(name, probes) if options.local else on_aws(name, probes, options)
    except Refused as refused:
        print(f"aws-smoke: {refused}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"aws-smoke: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("aws-smoke: interrupted", file=sys.stderr)
        return 130
    print(report.as_json(name, not options.local, results, left) if options.json else report.table(results))
    return 1 if left or any(result.result in (FAIL, UNKNOWN) for result in results) else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Threads of probes that were interrupted do not keep the program alive.
    os._exit(code)
