//! From [`Plugin`] to the exports of the contract.

use crate::bindings::exports::towpath::plugin::metadata::{Description, Problem};
use crate::bindings::towpath::plugin::config;
use crate::bindings::towpath::plugin::types::{Message, Reason, Verdict};
use crate::stop::reason;
use crate::{Plugin, Stop};

/// Exports a type that implements [`Plugin`] as the component's plugin. Once in a crate.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            struct Exported;

            impl $crate::bindings::exports::towpath::plugin::transform::Guest for Exported {
                fn transform(
                    message: $crate::Message,
                ) -> ::core::result::Result<
                    $crate::bindings::towpath::plugin::types::Verdict,
                    $crate::bindings::towpath::plugin::types::Reason,
                > {
                    $crate::transform::<$plugin>(&message)
                }
            }

            impl $crate::bindings::exports::towpath::plugin::metadata::Guest for Exported {
                fn describe() -> $crate::bindings::exports::towpath::plugin::metadata::Description {
                    $crate::describe::<$plugin>(
                        env!("CARGO_PKG_NAME"),
                        env!("CARGO_PKG_VERSION"),
                        env!("CARGO_PKG_DESCRIPTION"),
                    )
                }

                fn check_config() -> ::std::vec::Vec<$crate::bindings::exports::towpath::plugin::metadata::Problem> {
                    $crate::check_config::<$plugin>()
                }
            }

    $crate::bindings::export_component!(Exported with_types_in $crate::bindings);
        };
    };
}

/// Maps a message.
pub fn transform<P: Plugin>(message: &Message) -> Result<Verdict, Reason> {
    let config = read_config::<P>().map_err(|error| reason("config", error))?;
    match P::transform(message, &config) {
        Ok(requests) => Ok(Verdict::Deliver(requests)),
        Err(Stop::Skip(reason)) => Ok(Verdict::Skip(reason)),
        Err(Stop::Reject(reason)) => Ok(Verdict::Reject(reason)),
        Err(Stop::Retry(retry)) => Ok(Verdict::Retry(retry)),
        Err(Stop::Fail(reason)) => Err(reason),
    }
}

/// Describes a plugin as its `Cargo.toml` does.
pub fn describe<P: Plugin>(name: &str, version: &str, summary: &str) -> Description {
    Description {
        name: name.to_owned(),
        version: version.to_owned(),
        summary: summary.to_owned(),
        targets: P::TARGETS.iter().map(|target| (*target).to_owned()).collect(),
        ext: Vec::new(),
    }
}

/// Checks that the config can be read.
pub fn check_config<P: Plugin>() -> Vec<Problem> {
    match read_config::<P>() {
        Ok(_) => Vec::new(),
        Err(message) => vec![Problem { at: "/".to_owned(), message }],
    }
}

fn read_config<P: Plugin>() -> Result<P::Config, String> {
    // From bytes, as messages are: one deserializer in the component, not two.
    serde_json::from_slice(config::document().as_bytes()).map_err(|error| error.to_string())
}
