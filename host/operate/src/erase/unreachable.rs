//! What no command on this machine can erase.

use towpath_types::clock::Timestamp;
use towpath_types::queue::MAX_RETENTION;

use crate::letters::journals;
use crate::place::{Backend, Found};
use crate::views::Views;

/// Something that may have a person's events, and that is not erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreachable {
    /// What it is.
    pub what: String,
    /// When it is gone by itself.
    pub expires: Expires,
}

/// When something is gone by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expires {
    /// By this time.
    By(Timestamp),
    /// As this says.
    As(&'static str),
    /// Never, as far as Towpath knows.
    Unknown,
}

/// Everything that may have events of a place and is not erased. `damaged` is the number of records of the archive that cannot be read.
pub(super) fn all(found: &Found, damaged: u64, now: Timestamp) -> Vec<Unreachable> {
    let mut all = Vec::new();
    let mut add = |what: &str, expires: Expires| all.push(Unreachable { what: what.to_owned(), expires });
    let config = found.config.as_deref();
    if damaged > 0 {
        let keep = config.map_or(towpath_config::archive::KEEP, |config| config.archive.keep);
        add(&format!("{damaged} damaged records of the archive, which nobody can read"), Expires::By(now + keep));
    }
    if let Backend::Sqs { events, dead_letters, refused } = &found.backend {
        let queues = events.iter().chain([dead_letters]).chain(refused);
        for queue in queues {
            add(
                &format!("messages in {queue}: `towpath dlq drop` deletes dead letters"),
                Expires::By(now + MAX_RETENTION),
            );
        }
        for file in [dead_letters].into_iter().chain(refused).flat_map(|queue| journals(queue)) {
            if file.exists() {
                add(
                    &format!("{}: ids and groups of letters, which their redrive needs", file.display()),
                    Expires::As("when a redrive has sent all of these letters"),
                );
            }
        }
        let stream = config.and_then(|config| config.archive.stream.as_deref());
        if let Some(stream) = stream {
            let what = format!("events behind the delivery stream {stream}, and versions of their objects in S3");
            add(
                &what,
                Expires::As(
                    "when the lifecycle rules of the bucket remove them (archive.keep_days of the Terraform module)",
                ),
            );
        }
        add(
            "logs in CloudWatch: ids and groups, no bodies",
            Expires::As("the retention of the log group (log_retention of the Terraform module)"),
        );
    }
    let views = Views::of(found);
    if views.file().exists() {
        add(
            &format!("{}: filters of the console's saved views", views.file().display()),
            Expires::As("when somebody removes the view"),
        );
    }
    add("backups and other copies of the store and the archive", Expires::Unknown);
    add("what targets received", Expires::Unknown);
    add("logs and traces of hosts: ids and groups, no bodies", Expires::Unknown);
    add("files of `towpath record` and `poll --story`, and saved output of other commands", Expires::Unknown);
    add("freed blocks of the disk, and snapshots of the file system", Expires::Unknown);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queues::Queues;
    use crate::views::View;

    #[tokio::test]
    async fn saved_views_are_named_once_there_are_any() {
        let folder = tempfile::TempDir::new().expect("folder");
        let queues = Queues::open(folder.path()).await.expect("a store");
        let found = Found::new(Backend::Local(Box::new(queues)), None);
        let names_views = || all(&found, 0, Timestamp(1)).iter().any(|one| one.what.contains("views.json"));
        assert!(!names_views());
        let (name, filter) = ("ann".to_owned(), "group=crm/ann".to_owned());
        let view = View { name, refused: false, filter, by: "me".to_owned(), at: Timestamp(1) };
        Views::of(&found).save(view).expect("saved");
        assert!(names_views());
    }
}
