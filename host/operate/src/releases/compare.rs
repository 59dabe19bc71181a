//! What differs between two releases of a plugin, as their manifests and components tell. Neither is loaded or run.

use anyhow::Context as _;
use towpath_registry::{Registry, Release};
use wasmparser::{Parser, Payload};

use super::{check_plugin, chosen};

/// Two releases.
#[derive(Debug)]
pub struct Compared {
    /// The one that is compared with.
    pub old: Side,
    /// The other one.
    pub new: Side,
}

/// One of them.
#[derive(Debug)]
pub struct Side {
    /// Its manifest.
    pub release: Release,
    /// The size of its component.
    pub bytes: u64,
    /// What its component imports, sorted.
    pub imports: Vec<String>,
    /// What its component exports, sorted.
    pub exports: Vec<String>,
}

/// Reads two releases of a plugin; each is a version or a channel.
pub async fn compare(registry: &Registry, name: &str, old: &str, new: &str) -> anyhow::Result<Compared> {
    check_plugin(registry, name).await?;
    Ok(Compared { old: side(registry, name, old).await?, new: side(registry, name, new).await? })
}

async fn side(registry: &Registry, name: &str, tag: &str) -> anyhow::Result<Side> {
    let chosen = chosen(registry, name, tag).await?;
    let release = registry.release(name, &chosen).await?;
    let component = registry.component(&release).await?;
    let bytes = component.len() as u64;
    let named = tokio::task::spawn_blocking(move || named(&component)).await.context("reading the component")?;
    let (imports, exports) = named.with_context(|| format!("reading the component of {name} {}", release.version))?;
    Ok(Side { release, bytes, imports, exports })
}

/// The imports and exports of a component itself, not of what is nested in it.
fn named(component: &[u8]) -> Result<(Vec<String>, Vec<String>), wasmparser::BinaryReaderError> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    imports.sort();
    exports.sort();
    Ok((imports, exports))
}

/// The names of one list that the other one does not have.
pub fn missing<'a>(of: &'a [String], from: &[String]) -> Vec<&'a str> {
    of.iter().filter(|name| !from.contains(name)).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_those_of_the_component_and_not_of_what_is_nested_in_it() {
        // A component with one imported instance, and a nested component with another.
        let head = [
            0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00, // component
            0x07, 0x03, 0x01, 0x42, 0x00, // one type: an instance without exports
        ];
        let import = |name: &str| {
            let mut section = vec![0x01, 0x00, u8::try_from(name.len()).expect("short")];
            section.extend(name.as_bytes());
            section.extend([0x05, 0x00]);
            let mut bytes = vec![0x0a, u8::try_from(section.len()).expect("short")];
            bytes.extend(section);
            bytes
        };
        let component = |name: &str| {
            let mut bytes = head.to_vec();
            bytes.extend(import(name));
            bytes
        };
        let inner = component("a:b/inner");
        let mut outer = component("a:b/outer");
        outer.extend([0x04, u8::try_from(inner.len()).expect("short")]);
        outer.extend(inner);
        let (imports, exports) = named(&outer).expect("a component");
        assert_eq!((imports, exports), (vec!["a:b/outer".to_owned()], Vec::new()));
        named(b"no component").expect_err("not a component");
    }

    #[test]
    fn what_one_list_lacks_is_named_in_order() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(missing(&list(&["a", "b", "c"]), &list(&["b"])), ["a", "c"]);
    }
}
