//! Stripe's invoice and charge events: to SSS, and to accounting where money moved.
//!
//! Format: Stripe's "Event object" and "Types of events". Amounts are in the currency's smallest unit.

use exports::towpath::plugin::{metadata, transform};
use serde::Deserialize;
use serde_json::{Value, json};
use towpath::plugin::config;
use towpath::plugin::types::{Header, HeaderValue, Message, Payload, Reason, Request, Verdict};

wit_bindgen::generate!({ path: "../../wit/1.0.0", world: "transformer" });
export!(Stripe);

struct Stripe;

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: u64,
    livemode: bool,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

#[derive(Deserialize)]
struct Invoice {
    id: String,
    customer: String,
    currency: String,
    amount_due: i64,
    amount_paid: i64,
    #[serde(default)]
    attempt_count: u32,
    #[serde(default)]
    hosted_invoice_url: Option<String>,
}

#[derive(Deserialize)]
struct Charge {
    id: String,
    #[serde(default)]
    customer: Option<String>,
    currency: String,
    amount: i64,
    amount_refunded: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Whether events of Stripe's test mode are mapped too.
    #[serde(default)]
    test_mode: bool,
}

impl transform::Guest for Stripe {
    fn transform(message: Message) -> Result<Verdict, Reason> {
        let config: Config = serde_json::from_str(&config::document()).map_err(|e| reason("config", &e.to_string()))?;
        let event: Event = match serde_json::from_slice(&message.body) {
            Ok(event) => event,
            Err(error) => return Ok(reject("malformed", &error.to_string())),
        };
        if !event.livemode && !config.test_mode {
            return Ok(skip("test-mode", "an event of Stripe's test mode"));
        }
        let requests = match event.kind.as_str() {
            "invoice.paid" | "invoice.payment_failed" => {
                serde_json::from_value(event.data.object.clone()).map(|invoice| invoice_requests(&event, &invoice))
            }
            "charge.succeeded" | "charge.refunded" => {
                serde_json::from_value(event.data.object.clone()).map(|charge| charge_requests(&event, &charge))
            }
            other => return Ok(skip("not-for-us", &format!("nothing is done for {other:?}"))),
        };
        Ok(match requests {
            Ok(requests) if requests.is_empty() => reject("bad-id", "the customer's id has characters that no id has"),
            Ok(requests) => Verdict::Deliver(requests),
            Err(error) => reject("malformed", &error.to_string()),
        })
    }
}

/// Accounting last: what SSS refuses is not booked.
fn invoice_requests(event: &Event, invoice: &Invoice) -> Vec<Request> {
    if !is_id(&invoice.customer) {
        return Vec::new();
    }
    let paid = event.kind == "invoice.paid";
    let sss = json!({
        "invoice": invoice.id,
        "status": if paid { "paid" } else { "payment-failed" },
        "due": invoice.amount_due,
        "currency": invoice.currency,
        "attempts": invoice.attempt_count,
        "url": invoice.hosted_invoice_url,
    });
    let mut requests = vec![post("sss", format!("/customers/{}/invoices", invoice.customer), &sss)];
    if paid {
        requests.push(booking(event, &invoice.id, "payment", invoice.amount_paid, &invoice.currency));
    }
    requests
}

fn charge_requests(event: &Event, charge: &Charge) -> Vec<Request> {
    let refunded = event.kind == "charge.refunded";
    let amount = if refunded { -charge.amount_refunded } else { charge.amount };
    let kind = if refunded { "refund" } else { "charge" };
    let booking = booking(event, &charge.id, kind, amount, &charge.currency);
    match &charge.customer {
        Some(customer) if !is_id(customer) => Vec::new(),
        Some(customer) if refunded => {
            let sss = json!({ "charge": charge.id, "refunded": charge.amount_refunded, "currency": charge.currency });
            vec![post("sss", format!("/customers/{customer}/refunds"), &sss), booking]
        }
        _ => vec![booking],
    }
}

fn booking(event: &Event, document: &str, kind: &str, amount: i64, currency: &str) -> Request {
    let entry = json!({
        "event": event.id, "document": document, "kind": kind, "amount": amount, "currency": currency, "booked_at": event.created,
    });
    let booking = post("accounting", "/journal-entries".to_owned(), &entry);
    // Stripe sends an event more than once; accounting books it once.
    Request { idempotency_key: Some(format!("stripe-{}", event.id)).filter(|_| is_id(&event.id)), ..booking }
}

fn post(target: &str, path: String, body: &Value) -> Request {
    Request {
        target: target.to_owned(),
        method: "POST".to_owned(),
        path,
        headers: vec![Header {
            name: "content-type".to_owned(),
            value: HeaderValue::Text("application/json".to_owned()),
        }],
        body: Payload::Bytes(body.to_string().into_bytes()),
        idempotency_key: None,
        ext: Vec::new(),
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn skip(code: &str, message: &str) -> Verdict {
    Verdict::Skip(reason(code, message))
}

fn reject(code: &str, message: &str) -> Verdict {
    Verdict::Reject(reason(code, message))
}

fn reason(code: &str, message: &str) -> Reason {
    Reason { code: code.to_owned(), message: message.to_owned(), ext: Vec::new() }
}

impl metadata::Guest for Stripe {
    fn describe() -> metadata::Description {
        metadata::Description {
            name: "stripe".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Stripe invoices and charges to SSS and accounting".to_owned(),
            targets: vec!["sss".to_owned(), "accounting".to_owned()],
            ext: Vec::new(),
        }
    }

    fn check_config() -> Vec<metadata::Problem> {
        match serde_json::from_str::<Config>(&config::document()) {
            Ok(_) => Vec::new(),
            Err(error) => vec![metadata::Problem { at: "/".to_owned(), message: error.to_string() }],
        }
    }
}
