//! One process of `towpath`, started and disturbed from outside.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a process may take to exit after SIGTERM before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How to start a process, any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) binary: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
}

/// A process that may be running.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) recipe: Recipe,
    child: Option<Child>,
}

impl Recipe {
    /// Runs a command that exits by itself. Its output goes to `NAME.log`.
    pub(crate) async fn once(&self) -> anyhow::Result<Option<i32>> {
        let mut child = self.spawn()?;
        let status = child.wait().await.with_context(|| format!("waiting for {}", self.name))?;
        Ok(status.code())
    }

    /// Runs a command; returns its standard output.
    pub(crate) async fn output(&self) -> anyhow::Result<Vec<u8>> {
        let mut command = self.command()?;
        let output = command.stdout(Stdio::piped()).output().await;
        Ok(output.with_context(|| format!("running {}", self.name))?.stdout)
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        self.command()?.spawn().with_context(|| format!("starting {}", self.binary.display()))
    }

    /// Run by a shell that ignores SIGXFSZ, which the process inherits: a write beyond the file size limit then fails, as on a full
    /// disk, instead of killing the process.
    fn command(&self) -> anyhow::Result<Command> {
        let log = self.log()?;
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&self.binary).args(&self.args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).current_dir(&self.folder);
        let again = log.try_clone().context("opening a log twice")?;
        command.stdin(Stdio::null()).stdout(log).stderr(again).kill_on_drop(true);
        Ok(command)
    }

    /// The last lines of the log.
    fn last_lines(&self) -> String {
        let log = fs::read(self.log_file()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn log(&self) -> anyhow::Result<File> {
        let file = self.log_file();
        OpenOptions::new().create(true).append(true).open(&file).with_context(|| format!("opening {}", file.display()))
    }

    /// The same with another name and other arguments.
    pub(crate) fn with(&self, name: &str, args: &[&str]) -> Recipe {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Recipe { name: name.to_owned(), args, ..self.clone() }
    }
}

impl Process {
    /// Not started yet.
    pub(crate) fn new(recipe: Recipe) -> Process {
        Process { recipe, child: None }
    }

    /// Starts it unless it runs.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        self.child = Some(self.recipe.spawn()?);
        Ok(())
    }

    /// Whether it runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Waits until it is ready at this address. An error quotes the end of its log, which may be in a temporary folder.
    pub(crate) async fn ready(&mut self, address: SocketAddr, patience: Duration) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let url = format!("http://{address}/readyz");
        let answers = async {
            while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                ensure!(self.is_running(), "it ended before it was ready");
                sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        let ready = timeout(patience, answers).await.unwrap_or_else(|_| Err(anyhow!("it is not ready in time")));
        ready.with_context(|| {
            format!("starting {} at {address}; its log ends with:\n{}", self.recipe.name, self.recipe.last_lines())
        })
    }

    /// Kills it at once.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait().await;
        }
    }

    /// Kills the processes that it started.
    pub(crate) fn kill_children(&self) {
        let Some(pid) = self.pid() else { return };
        for thread in fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)) {
                let _ = kill_process(child, Signal::KILL);
            }
        }
    }

    /// Sends SIGTERM, and kills it if it does not exit. Returns whether it exited by itself.
    pub(crate) async fn terminate(&mut self) -> bool {
        self.signal(Signal::TERM);
        let Some(child) = self.child.as_mut() else { return true };
        let ended = timeout(PATIENCE, child.wait()).await.is_ok();
        self.kill().await;
        ended
    }

    /// Freezes it.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it continue.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Limits the size of files that it writes; `None` removes the limit.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        if let Some(pid) = self.pid() {
            let _ = prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None });
        }
    }

    /// Its process id; 0 if it does not run.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, signal);
        }
    }

    fn pid(&self) -> Option<Pid> {
        let id = self.child.as_ref()?.id()?;
        Pid::from_raw(i32::try_from(id).ok()?)
    }
}

/// Writes a file below a folder.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let file = folder.join(name);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
}

/// A port that is free now. A restarted host needs the same port, so 0 does not do.
pub(crate) async fn free_port() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("looking for a free port")?;
    listener.local_addr().context("looking for a free port")
}

/// A folder as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
