//! The text of one XML element or attribute. No document type, no entities but the five of XML itself: nothing can grow.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// The body is not well-formed, or asks for what is not read: a document type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotXml;

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 256;

/// The text of the first element that these names lead to, from the root. A last name that begins with `@` is an
/// attribute. Names are compared as written, with their prefix.
pub(crate) fn text(body: &[u8], steps: &[String]) -> Result<Option<Vec<u8>>, NotXml> {
    Ok(find(body, steps)?.map(|found| found.text))
}

/// The same text as it is written, with its entities and all that is between the tags.
pub(crate) fn written(body: &[u8], steps: &[String]) -> Option<Vec<u8>> {
    find(body, steps).ok()?.map(|found| found.written)
}

#[derive(Default)]
struct Found {
    text: Vec<u8>,
    written: Vec<u8>,
}

fn find(body: &[u8], steps: &[String]) -> Result<Option<Found>, NotXml> {
    let (attribute, elements) = match steps.split_last() {
        Some((last, elements)) if last.starts_with('@') => (last.strip_prefix('@'), elements),
        _ => (None, steps),
    };
    let mut reader = Reader::from_reader(body);
    // How many elements are open, and how many of them, from the root, are on the path.
    let mut depth = 0;
    let mut on_path = 0;
    let mut found: Option<Found> = None;
    let mut is_inside = false;
    let mut has_root = false;
    loop {
        let before = at(&reader);
        let event = reader.read_event().map_err(|_| NotXml)?;
        let is_empty = matches!(event, Event::Empty(_));
        // The tags of the element itself are not part of its text.
        let mut was_inside = is_inside;
        match event {
            Event::Start(element) | Event::Empty(element) => {
                let is_next = on_path == depth && elements.get(depth).is_some_and(|name| is(&element, name));
                depth += 1;
                has_root = true;
                if depth > MAX_DEPTH {
                    return Err(NotXml);
                }
                if is_next {
                    on_path = depth;
                }
                if is_next && depth == elements.len() && found.is_none() {
                    match attribute {
                        Some(name) => found = value_of(&element, name)?,
                        None => {
                            found = Some(Found::default());
                            is_inside = true;
                        }
                    }
                }
                if is_empty {
                    (depth, on_path, is_inside) = closed(depth, on_path, is_inside, elements.len());
                }
            }
            Event::End(_) => {
                (depth, on_path, is_inside) = closed(depth, on_path, is_inside, elements.len());
                was_inside &= is_inside;
            }
            Event::Text(text) if is_inside => {
                let text = text.decode().map_err(|_| NotXml)?;
                found.get_or_insert_default().text.extend_from_slice(text.as_bytes());
            }
            Event::CData(text) if is_inside => found.get_or_insert_default().text.extend_from_slice(&text),
            Event::GeneralRef(reference) if is_inside => {
                let text = referred(&reference).ok_or(NotXml)?;
                let mut buffer = [0; 4];
                found.get_or_insert_default().text.extend_from_slice(text.encode_utf8(&mut buffer).as_bytes());
            }
            Event::DocType(_) => return Err(NotXml),
            Event::Eof if has_root && depth == 0 => return Ok(found),
            Event::Eof => return Err(NotXml),
            _ => {}
        }
        if was_inside && let Some(found) = &mut found {
            found.written.extend_from_slice(body.get(before..at(&reader)).unwrap_or_default());
        }
    }
}

fn at(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// The state after an element ended.
fn closed(depth: usize, on_path: usize, is_inside: bool, target: usize) -> (usize, usize, bool) {
    let depth = depth.saturating_sub(1);
    (depth, on_path.min(depth), is_inside && depth >= target)
}

fn is(element: &BytesStart<'_>, name: &str) -> bool {
    element.name().as_ref() == name.as_bytes()
}

fn value_of(element: &BytesStart<'_>, name: &str) -> Result<Option<Found>, NotXml> {
    match element.try_get_attribute(name).map_err(|_| NotXml)? {
        Some(attribute) => {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| NotXml)?;
            Ok(Some(Found { text: value.into_owned().into_bytes(), written: attribute.value.to_vec() }))
        }
        None => Ok(None),
    }
}

/// The character of `&amp;` or `&#233;`.
fn referred(reference: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character);
    }
    let name = std::str::from_utf8(reference.as_ref()).ok()?;
    resolve_predefined_entity(name)?.chars().next()
}
