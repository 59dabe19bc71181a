use super::*;
use tempfile::TempDir;

fn execute(connection: &Connection, sql: &str) -> Result<(), QueueError> {
    connection.execute_batch(sql).map_err(failed)
}

#[tokio::test]
async fn a_commit_that_fails_fails_every_operation_in_it_and_the_next_one_works() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), Clock::wall()).unwrap();
    let tables = "CREATE TABLE p (id INTEGER PRIMARY KEY);
        CREATE TABLE c (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);";
    store.run(Durability::Synced, move |connection| execute(connection, tables)).await.unwrap();
    // A deferred foreign key is checked at the commit, so each operation succeeds by itself.
    let run = |sql: &'static str| store.run(Durability::Synced, move |connection| execute(connection, sql));
    let (bad, beside) = tokio::join!(run("INSERT INTO c VALUES (7)"), run("INSERT INTO p VALUES (1)"));
    assert!(bad.is_err(), "the commit failed");
    let count = |connection: &Connection| {
        let sql = "SELECT (SELECT count(*) FROM p) + (SELECT count(*) FROM c)";
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed)
    };
    let stored = store.run(Durability::Written, count).await.unwrap();
    assert_eq!(stored, i64::from(beside.is_ok()), "the result matches what is stored");
}

/// A job that does not catch its own panic.
struct Panics;

impl Job for Panics {
    fn durability(&self) -> Durability {
        Durability::Synced
    }

    fn run(&mut self, connection: &Connection) -> bool {
        execute(connection, "INSERT INTO t VALUES (1)").expect("inserted");
        panic!("on purpose")
    }

    fn reply(self: Box<Self>, committed: Result<(), String>) {
        committed.expect_err("it panicked");
    }
}

#[tokio::test]
async fn a_commit_that_panics_fails_every_operation_in_it_and_the_next_one_works() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), Clock::wall()).unwrap();
    let run = |sql: &'static str| store.run(Durability::Synced, move |connection| execute(connection, sql));
    run("CREATE TABLE t (x)").await.unwrap();
    assert!(store.shared.pending.put([Box::new(Panics) as Box<dyn Job>]), "no worker is running");
    let (beside, ()) = tokio::join!(run("INSERT INTO t VALUES (2)"), async { store.shared.begin() });
    assert!(beside.is_err());
    run("INSERT INTO t VALUES (3)").await.unwrap();
    let values = |connection: &Connection| {
        connection.query_row("SELECT group_concat(x) FROM t", [], |row| row.get::<_, String>(0)).map_err(failed)
    };
    assert_eq!(store.run(Durability::Written, values).await.unwrap(), "3");
}

#[tokio::test]
async fn a_full_disk_error_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), Clock::wall()).unwrap();
    store.limit_pages(40).await.unwrap();
    let fill = |connection: &Connection| execute(connection, "CREATE TABLE t AS SELECT randomblob(1000000)");
    let error = store.run(Durability::Synced, fill).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("free disk space"), "{cause}");
}

#[tokio::test]
async fn an_operation_that_fails_or_panics_changes_nothing_and_affects_no_other() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), Clock::wall()).unwrap();
    let table = "CREATE TABLE t (x)";
    store.run(Durability::Synced, move |connection| execute(connection, table)).await.unwrap();
    let panics = store.run(Durability::Synced, |connection| -> Result<(), QueueError> {
        execute(connection, "INSERT INTO t VALUES (1)")?;
        panic!("on purpose")
    });
    let fails = store.run(Durability::Synced, |connection| {
        execute(connection, "INSERT INTO t VALUES (2)")?;
        Err::<(), _>(QueueError::HandleInvalid)
    });
    let works = store.run(Durability::Synced, |connection| execute(connection, "INSERT INTO t VALUES (3)"));
    let (panics, fails, works) = tokio::join!(panics, fails, works);
    assert!(panics.is_err() && fails.is_err() && works.is_ok());
    let values = |connection: &Connection| {
        connection.query_row("SELECT group_concat(x) FROM t", [], |row| row.get::<_, String>(0)).map_err(failed)
    };
    assert_eq!(store.run(Durability::Written, values).await.unwrap(), "3");
}

/// Also waits for the worker of earlier operations: it is still running when it replies.
fn calm(store: &Store) {
    while !store.shared.pending.is_idle() {
        std::thread::yield_now();
    }
    store.shared.pace.calm();
}

#[tokio::test]
async fn in_calm_times_an_operation_runs_on_the_thread_that_asks() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), Clock::wall()).unwrap();
    let here = std::thread::current().id();
    let is_here = |durability| store.run(durability, move |_| Ok(std::thread::current().id() == here));
    assert!(!is_here(Durability::Written).await.unwrap(), "the first one may open the files");
    for durability in [Durability::Written, Durability::Synced] {
        calm(&store);
        assert!(is_here(durability).await.unwrap());
    }
}

#[tokio::test]
async fn an_operation_never_waits_for_another_process_on_the_thread_that_asks() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), Clock::wall()).unwrap();
    store.run(Durability::Written, |connection| execute(connection, "CREATE TABLE t (x)")).await.unwrap();
    let other = connection::connect(store.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    calm(&store);
    let insert = store.run(Durability::Written, |connection| execute(connection, "INSERT INTO t VALUES (2)"));
    // This runs on the same thread, after the insert was asked for.
    let end = async { other.execute_batch("COMMIT").unwrap() };
    let (inserted, ()) = tokio::join!(insert, end);
    inserted.unwrap();
    let values = |connection: &Connection| {
        connection.query_row("SELECT group_concat(x) FROM t", [], |row| row.get::<_, String>(0)).map_err(failed)
    };
    assert_eq!(store.run(Durability::Written, values).await.unwrap(), "1,2");
}
