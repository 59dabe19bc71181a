//! Real clients of SQS at the endpoint: boto3 and the aws CLI, from a virtual environment that is made once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use towpath_tests::endpoint::SqsServer;

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");

/// The folder with the clients' commands. It is made anew when the requirements change.
fn clients() -> PathBuf {
    let wanted = std::fs::read_to_string(format!("{CLIENTS}/requirements.txt")).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let installed = folder.join("installed.txt");
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients.lock")).unwrap();
    lock.lock().unwrap();
    if std::fs::read_to_string(&installed).ok().as_ref() != Some(&wanted) {
        let mut python = Command::new("python3");
        succeed(
            python.args(["-m", "venv", "--clear"]).arg(&folder),
            "making a virtual environment: is python3 with its venv module installed?",
        );
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        let mut pip = Command::new(folder.join("bin/python"));
        succeed(pip.args(install).arg(format!("{CLIENTS}/requirements.txt")), "installing boto3 and the aws CLI");
        std::fs::write(installed, wanted).unwrap();
    }
    folder.join("bin")
}

fn succeed(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_and_the_aws_cli_find_sqs() {
    let bin = tokio::task::spawn_blocking(clients).await.unwrap();
    let server = SqsServer::start().await;
    let mut python = Command::new(bin.join("python"));
    python.arg(format!("{CLIENTS}/sqs.py")).arg(&server.url).arg(bin.join("aws"));
    let said = tokio::task::spawn_blocking(move || succeed(&mut python, "sqs.py")).await.unwrap();
    assert!(said.contains("17 checks passed"), "{said}");
}
