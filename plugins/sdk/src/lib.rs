//! Write plugins for Towpath.
//!
//! A plugin maps one webhook message to requests. It implements [`Plugin`] and is exported once; its name, version and
//! summary are those of its `Cargo.toml`. The crate is a `cdylib`.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use towpath_plugin::{Mapped, Message, NoConfig, Plugin, Request, segment, skip};
//!
//! struct Crm;
//!
//! /// The event as the SaaS sends it.
//! #[derive(Deserialize)]
//! struct Event {
//!     kind: String,
//!     id: String,
//! }
//!
//! /// What the target is told.
//! #[derive(Serialize)]
//! struct Update<'a> {
//!     state: &'a str,
//! }
//!
//! impl Plugin for Crm {
//!     type Config = NoConfig;
//!     const TARGETS: &'static [&'static str] = &["sss"];
//!
//!     fn transform(message: &Message, _: &NoConfig) -> Mapped {
//!         let event: Event = message.json()?;
//!         let state = match event.kind.as_str() {
//!             "deal.won" => "won",
//!             "deal.lost" => "lost",
//!             other => return Err(skip("not-for-us", format!("nothing is done for {other:?}"))),
//!         };
//!         let path = format!("/deals/{}", segment(&event.id)?);
//!         Ok(vec![Request::put("sss", path).json(&Update { state })?])
//!     }
//! }
//!
//! towpath_plugin::export!(Crm);
//! ```
#![deny(missing_docs)]

/// The generated side of the contract; [`export!`] uses it.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "contract",
        world: "transformer",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "towpath_plugin::bindings",
    });
}

mod export;
pub mod log;
mod message;
mod request;
mod stop;
mod surrogates;

pub use bindings::towpath::plugin::types::{Message, Request};
pub use request::segment;
pub use serde_json;
pub use stop::{Stop, fail, reject, retry, skip};

#[doc(hidden)]
pub use export::{check_config, describe, transform};

/// What a message becomes: requests to make in this order, at least one, of which the first that fails decides; or why
/// there are none.
pub type Mapped = Result<Vec<Request>, Stop>;

/// A mapping. It must be a pure function of message and config: the host may call it again for the same message, on
/// another machine too.
pub trait Plugin {
    /// The plugin's `config` table of `towpath.toml`; [`NoConfig`] if it has none. What it does not accept keeps the
    /// host from starting. Derive `Deserialize` with `deny_unknown_fields`, so that a typing error is found.
    type Config: serde::de::DeserializeOwned;

    /// Every target that the plugin may name in a request.
    const TARGETS: &'static [&'static str];

    /// Maps one message.
    fn transform(message: &Message, config: &Self::Config) -> Mapped;
}

/// The config of a plugin that has nothing to configure: an empty table.
#[derive(Debug)]
pub struct NoConfig;

impl<'de> serde::Deserialize<'de> for NoConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<NoConfig, D::Error> {
        struct Empty;
        impl<'de> serde::de::Visitor<'de> for Empty {
            type Value = NoConfig;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an empty table")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<NoConfig, A::Error> {
                match map.next_key::<String>()? {
                    None => Ok(NoConfig),
                    Some(_) => Err(serde::de::Error::custom("this plugin has nothing to configure")),
                }
            }
        }
        deserializer.deserialize_map(Empty)
    }
}
