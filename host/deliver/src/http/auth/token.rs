//! Answers of token endpoints: RFC 6749 section 5, and the deviations of real endpoints.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::value::RawValue;

use super::super::answer;
use super::super::mask::Mask;

/// The longest lifetime of a token, whatever its endpoint states.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How much of an endpoint's message is shown.
const SHOWN: usize = 200;

/// How much of it is read, so that secrets in the shown part are recognised.
const READ: usize = 2048;

/// A token, and its lifetime if the endpoint states it.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Granted {
    pub(super) value: String,
    pub(super) lifetime: Option<Duration>,
}

/// An answer of a token endpoint.
pub(super) struct TokenResponse<'a> {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// The fields of an answer. Each is parsed only when needed, so that an unneeded field cannot fail the answer. Of two
/// with the same name, the last counts.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

impl TokenResponse<'_> {
    /// The token, or a description of the problem in which these secrets are masked.
    pub(super) fn read(&self, secrets: &[&str]) -> Result<Granted, String> {
        self.granted().map_err(|problem| {
            let read = problem.get(..problem.floor_char_boundary(READ)).unwrap_or_default();
            let shown = answer::shown(read, &Mask::of(secrets.iter().copied()), SHOWN);
            // The problem begins with a space, a colon or a comma. Masking trims the space.
            let space = if problem.starts_with(' ') { " " } else { "" };
            format!("the token endpoint answered {}{space}{shown}", self.status.as_u16())
        })
    }

    fn granted(&self) -> Result<Granted, String> {
        let text = String::from_utf8_lossy(self.body);
        let fields = serde_json::from_str::<Fields<'_>>(text.trim_start_matches('\u{feff}'));
        let said = fields.as_ref().ok().and_then(said);
        match (fields, said) {
            (_, _) if self.status.is_redirection() => {
                Err(": redirects are not followed, token_url must be the final address".to_owned())
            }
            (_, Some(said)) => Err(format!(": {said}")),
            (Ok(fields), None) if self.status.is_success() => granted(&fields),
            (Err(_), None) if self.status.is_success() => {
                let kind = self.content_type.unwrap_or("no content-type");
                Err(format!(", but its body is not a JSON object ({kind}, {} bytes)", self.body.len()))
            }
            _ => Err(self.content_type.map_or_else(String::new, |kind| format!(" ({kind})"))),
        }
    }
}

fn granted(fields: &Fields<'_>) -> Result<Granted, String> {
    let Some(value) = fields.get("access_token") else {
        let names = fields.keys().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(if names.is_empty() {
            " with an empty object: it has no access_token".to_owned()
        } else {
            format!(" without an access_token; its fields are {names}")
        });
    };
    let value = text(value).ok_or(", but its access_token is not a string")?;
    let value = value.trim();
    if value.is_empty() {
        return Err(", but its access_token is empty".to_owned());
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(", but its access_token contains characters that are invalid in a header".to_owned());
    }
    let lifetime = fields.get("expires_in").and_then(|raw| lifetime(raw));
    Ok(Granted { value: value.to_owned(), lifetime })
}

/// The endpoint's own error. RFC 6749 section 5.2 defines a code and a description.
fn said(fields: &Fields<'_>) -> Option<String> {
    let code = fields.get("error")?;
    let code = text(code).unwrap_or_default();
    let description = ["error_description", "message"].iter().find_map(|name| text(fields.get(*name)?));
    match (code.trim(), description) {
        ("", None) => Some("an error without a code".to_owned()),
        ("", Some(description)) => Some(description.into_owned()),
        (code, None) => Some(code.to_owned()),
        (code, Some(description)) => Some(format!("{code} ({})", description.trim())),
    }
}

/// Seconds, as any number or a quoted one; anything else is ignored. A token with a negative lifetime is valid for one
/// request.
fn lifetime(raw: &RawValue) -> Option<Duration> {
    let written = text(raw).unwrap_or(Cow::Borrowed(raw.get()));
    let seconds = written.trim().parse::<f64>().ok().filter(|seconds| !seconds.is_nan())?;
    Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64())).ok()
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "planted-5ecret";

    fn read(status: u16, body: &str) -> Result<Granted, String> {
        let status = StatusCode::from_u16(status).expect("a status");
        TokenResponse { status, content_type: Some("text/html"), body: body.as_bytes() }.read(&[SECRET])
    }

    fn granted_for(lifetime: Option<f64>) -> Result<Granted, String> {
        Ok(Granted { value: "t-1".to_owned(), lifetime: lifetime.map(Duration::from_secs_f64) })
    }

    #[test]
    fn a_lifetime_is_read_in_any_notation() {
        let day = Some(24.0 * 3600.0);
        let cases = [
            ("3600", Some(3600.0)),
            ("3600.5", Some(3600.5)),
            ("3.6e3", Some(3600.0)),
            ("\"3600\"", Some(3600.0)),
            ("\" 3599.9 \"", Some(3599.9)),
            ("0", Some(0.0)),
            ("-1", Some(0.0)),
            ("\"-60\"", Some(0.0)),
            ("null", None),
            ("true", None),
            ("[3600]", None),
            ("{}", None),
            ("\"\"", None),
            ("\"soon\"", None),
            ("\"nan\"", None),
            ("18446744073709551616", day),
            ("1e400", day),
            ("-1e400", Some(0.0)),
        ];
        for (written, lifetime) in cases {
            let body = format!("{{\"access_token\":\"t-1\",\"expires_in\":{written}}}");
            assert_eq!(read(200, &body), granted_for(lifetime), "{written}");
        }
        assert_eq!(read(200, "{\"access_token\":\"t-1\"}"), granted_for(None));
    }

    #[test]
    fn oddities_around_a_token_are_ignored() {
        let cases = [
            "\u{feff}{\"access_token\":\"t-1\"}",
            "\r\n {\"access_token\":\"t-1\"}\n",
            "{\"access_token\":\" t-1\\n\",\"token_type\":\"BearerToken\"}",
            "{\"scope\":[1e400,\"\\ud83d\"],\"access_token\":\"t-1\",\"ext\":{\"expires_in\":[]}}",
            "{\"access_token\":\"t-0\",\"access_token\":\"t-1\"}",
        ];
        for body in cases {
            assert_eq!(read(200, body), granted_for(None), "{body}");
        }
    }

    #[test]
    fn an_error_names_the_cause() {
        let cases = [
            (401, "{\"error\":\"invalid_client\"}", "401: invalid_client"),
            (
                400,
                "{\"error\":\"invalid_scope\",\"error_description\":\"no\\nsuch scope\"}",
                "400: invalid_scope (no such scope)",
            ),
            (400, "{\"error\":{\"code\":7},\"message\":\"disabled\"}", "400: disabled"),
            (200, "{\"error\":\"slow_down\"}", "200: slow_down"),
            (503, "<html>", "503 (text/html)"),
            (302, "", "302: redirects are not followed, token_url must be the final address"),
            (200, "<html>", "200, but its body is not a JSON object (text/html, 6 bytes)"),
            (200, "", "200, but its body is not a JSON object (text/html, 0 bytes)"),
            (200, "[]", "200, but its body is not a JSON object (text/html, 2 bytes)"),
            (200, "{}", "200 with an empty object: it has no access_token"),
            (200, "{\"id_token\":\"x\",\"scope\":1}", "200 without an access_token; its fields are id_token, scope"),
            (200, "{\"access_token\":7}", "200, but its access_token is not a string"),
            (200, "{\"access_token\":null}", "200, but its access_token is not a string"),
            (200, "{\"access_token\":\" \"}", "200, but its access_token is empty"),
            (
                200,
                "{\"access_token\":\"a\\nb\"}",
                "200, but its access_token contains characters that are invalid in a header",
            ),
        ];
        for (status, body, says) in cases {
            assert_eq!(read(status, body), Err(format!("the token endpoint answered {says}")), "{body}");
        }
        let long = format!("{{\"error\":\"e\",\"error_description\":\"{}\"}}", "x".repeat(5000));
        assert!(read(400, &long).expect_err("an error").len() < 300);
    }

    #[test]
    fn no_part_of_a_secret_is_shown() {
        for quoted in [SECRET, "planted-5e", "PLANTED-5ECRET", "ed-5ecret!"] {
            let body = format!("{{\"error\":\"invalid_client\",\"error_description\":\"is {quoted} right?\"}}");
            let problem = read(401, &body).expect_err("an error");
            assert!(problem.contains("is ***") && problem.ends_with(" right?)"), "{problem}");
        }
    }
}
