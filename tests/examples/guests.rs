//! Writes the guests of the chaos run, which the binary carries: `cargo run -p towpath-tests --example guests`.

use towpath_tests::guest::Guest;

fn main() -> std::io::Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/proof/guests");
    std::fs::write(format!("{folder}/mapping.wasm"), Guest::of_chaos(false).build())?;
    std::fs::write(format!("{folder}/broken.wasm"), Guest::of_chaos(true).build())
}
