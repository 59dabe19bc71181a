"""The module as examples/complete uses it, applied once with the real provider against moto, and destroyed at the end."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROVIDER = """
provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}
"""

# moto applies the Deny of a bucket policy without evaluating its conditions.
OVERRIDES = """
module "towpath" {
  bucket_tls_only = false
}
"""


class Terraform:
    """A root module in a folder of its own, with the state of what it applied."""

    def __init__(self, aws, folder, root, provider=PROVIDER):
        ignore = shutil.ignore_patterns(".terraform*", "*.tfstate*")
        shutil.copytree(ROOT / "terraform", folder, dirs_exist_ok=True, ignore=ignore)
        self.aws, self.folder = aws, folder / root
        self.folder.mkdir(parents=True, exist_ok=True)
        self.zip = folder / "function.zip"
        with zipfile.ZipFile(self.zip, "w") as archive:
            archive.writestr("bootstrap", "#!/bin/sh\n")
        (self.folder / "moto_override.tf").write_text(provider)

    def run(self, *arguments, ok=(0,)):
        environment = {**os.environ, **self.aws.environment, "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1"}
        done = subprocess.run(
            ["terraform", *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode in ok, done.stdout[-4000:] + done.stderr[-4000:]
        return done

    def init(self):
        plugins = os.environ.get("TF_PLUGIN_DIR")
        self.run("init", "-input=false", *([f"-plugin-dir={plugins}"] if plugins else []))

    def apply(self, *arguments):
        self.run("apply", "-auto-approve", "-input=false", "-no-color", *arguments)

    def destroy(self, *arguments):
        self.run("destroy", "-auto-approve", "-input=false", "-no-color", *arguments)

    def changes(self, *arguments):
        """Whether a plan would change anything, and what it says."""
        done = self.run("plan", "-detailed-exitcode", "-input=false", "-no-color", *arguments, ok=(0, 2))
        return done.returncode == 2, done.stdout


@pytest.fixture(scope="session")
def complete(aws, tmp_path_factory):
    """The applied example, with its variables."""
    terraform = Terraform(aws, tmp_path_factory.mktemp("terraform"), "examples/complete", PROVIDER + OVERRIDES)
    terraform.init()
    terraform.variables = ["-var", f"host_zip={terraform.zip}", "-var", f"ingest_zip={terraform.zip}"]
    terraform.apply(*terraform.variables)
    yield terraform
    terraform.destroy(*terraform.variables)
    queues = aws.client("sqs").list_queues(QueueNamePrefix="towpath-example").get("QueueUrls", [])
    functions = [f["FunctionName"] for f in aws.client("lambda").list_functions()["Functions"]]
    assert (queues, [name for name in functions if name.startswith("towpath-example")]) == ([], []), "destroy must remove everything"


@pytest.fixture(scope="session")
def applied(complete):
    """The outputs of the applied example."""
    return json.loads(complete.run("output", "-json").stdout)["towpath"]["value"]
