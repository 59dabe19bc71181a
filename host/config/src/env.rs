//! The environment variables that the host reads. No other room reads the environment.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

/// The config file: `TOWPATH_CONFIG`, or `towpath.toml` in the folder of the Lambda function's code
/// (`LAMBDA_TASK_ROOT`), or in the working folder.
#[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
pub fn config_file() -> PathBuf {
    if let Some(file) = std::env::var_os("TOWPATH_CONFIG").filter(|file| !file.is_empty()) {
        return file.into();
    }
    let root = std::env::var_os("LAMBDA_TASK_ROOT").map(PathBuf::from).unwrap_or_default();
    root.join("towpath.toml")
}

/// The user's cache folder: `XDG_CACHE_HOME`, or the platform's default in the home folder.
pub fn cache_folder() -> Option<PathBuf> {
    users_folder("XDG_CACHE_HOME", ".cache", "Library/Caches")
}

/// The user's state folder: `XDG_STATE_HOME`, or the platform's default in the home folder.
pub fn state_folder() -> Option<PathBuf> {
    users_folder("XDG_STATE_HOME", ".local/state", "Library/Application Support")
}

#[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
fn users_folder(variable: &str, below_home: &str, on_macos: &str) -> Option<PathBuf> {
    // Relative paths are ignored, as the specification requires:
    // https://specifications.freedesktop.org/basedir-spec/latest/
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let below = if cfg!(target_os = "macos") { on_macos } else { below_home };
    named.or_else(|| Some(std::env::home_dir().filter(|home| home.is_absolute())?.join(below)))
}

/// The key file for signing releases and pointers: `TOWPATH_SIGNING_KEY_FILE`.
#[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
pub fn signing_key_file() -> Option<PathBuf> {
    std::env::var_os("TOWPATH_SIGNING_KEY_FILE").filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// The user: `USER` or `LOGNAME`.
#[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
pub fn user() -> Option<String> {
    ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()).filter(|user| !user.is_empty())
}

/// The log levels that `--log` and `TOWPATH_LOG` take, in upper or lower case.
pub const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The log level: `TOWPATH_LOG`, one of [`LOG_LEVELS`]; `info` if it is not set. Any other value is an error.
#[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
pub fn log_level() -> Result<LevelFilter, String> {
    match std::env::var_os("TOWPATH_LOG").filter(|level| !level.is_empty()) {
        None => Ok(LevelFilter::INFO),
        Some(level) => {
            let known = |level: &&str| LOG_LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level));
            let parsed = level.to_str().filter(known).and_then(|level| level.parse().ok());
            parsed.ok_or_else(|| format!("{:?} is not a log level", level.to_string_lossy()))
        }
    }
}

/// Whether a function writes its metrics as log lines in CloudWatch's embedded metric format: `TOWPATH_EMF`, `on` (the default)
/// or `off`. Any other value is an error.
#[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
pub fn writes_emf() -> Result<bool, String> {
    let Some(written) = std::env::var_os("TOWPATH_EMF").filter(|written| !written.is_empty()) else { return Ok(true) };
    match written.to_str() {
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        _ => Err(format!("{:?} is neither on nor off", written.to_string_lossy())),
    }
}

/// The name of the running Lambda function: `AWS_LAMBDA_FUNCTION_NAME`.
#[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
pub fn function_name() -> Option<String> {
    std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok().filter(|name| !name.is_empty())
}

/// Whether a collector is configured: `OTEL_EXPORTER_OTLP_ENDPOINT`, which its client reads itself.
#[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
pub fn has_collector() -> bool {
    std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some_and(|endpoint| !endpoint.is_empty())
}

/// Whether `OTEL_SERVICE_NAME` names this service.
#[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
pub fn names_service() -> bool {
    std::env::var_os("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty())
}
