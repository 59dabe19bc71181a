//! Stripe's invoice and charge events: to SSS, and to accounting where money moved.
//!
//! Format: Stripe's "Event object" and "Types of events". Amounts are in the currency's smallest unit.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use towpath_plugin::serde_json::{Value, from_value, json};
use towpath_plugin::{Mapped, Message, Plugin, Request, Stop, reject, segment, skip};

towpath_plugin::export!(Stripe);

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

impl Plugin for Stripe {
    type Config = Config;
    const TARGETS: &'static [&'static str] = &["sss", "accounting"];

    fn transform(message: &Message, config: &Config) -> Mapped {
        let event: Event = message.json()?;
        if !event.livemode && !config.test_mode {
            return Err(skip("test-mode", "an event of Stripe's test mode"));
        }
        match event.kind.as_str() {
            "invoice.paid" | "invoice.payment_failed" => invoice(&event, &read(&event)?),
            "charge.succeeded" | "charge.refunded" => charge(&event, &read(&event)?),
            other => Err(skip("not-for-us", format!("nothing is done for {other:?}"))),
        }
    }
}

/// The object that the event is about.
fn read<T: DeserializeOwned>(event: &Event) -> Result<T, Stop> {
    from_value(event.data.object.clone()).map_err(|error| reject("malformed", error.to_string()))
}

/// Accounting last: what SSS refuses is not booked.
fn invoice(event: &Event, invoice: &Invoice) -> Mapped {
    let paid = event.kind == "invoice.paid";
    let sss = json!({
        "invoice": invoice.id,
        "status": if paid { "paid" } else { "payment-failed" },
        "due": invoice.amount_due,
        "currency": invoice.currency,
        "attempts": invoice.attempt_count,
        "url": invoice.hosted_invoice_url,
    });
    let path = format!("/customers/{}/invoices", segment(&invoice.customer)?);
    let mut requests = vec![Request::post("sss", path).json(&sss)?];
    if paid {
        requests.push(booking(event, &invoice.id, "payment", invoice.amount_paid, &invoice.currency)?);
    }
    Ok(requests)
}

fn charge(event: &Event, charge: &Charge) -> Mapped {
    let refunded = event.kind == "charge.refunded";
    let amount = if refunded { -charge.amount_refunded } else { charge.amount };
    let kind = if refunded { "refund" } else { "charge" };
    let mut requests = Vec::new();
    if let Some(customer) = &charge.customer {
        let customer = segment(customer)?;
        if refunded {
            let sss = json!({ "charge": charge.id, "refunded": charge.amount_refunded, "currency": charge.currency });
            requests.push(Request::post("sss", format!("/customers/{customer}/refunds")).json(&sss)?);
        }
    }
    requests.push(booking(event, &charge.id, kind, amount, &charge.currency)?);
    Ok(requests)
}

fn booking(event: &Event, document: &str, kind: &str, amount: i64, currency: &str) -> Result<Request, Stop> {
    let entry = json!({
        "event": event.id, "document": document, "kind": kind, "amount": amount, "currency": currency, "booked_at": event.created,
    });
    let booking = Request::post("accounting", "/journal-entries").json(&entry)?;
    // Stripe sends an event more than once; accounting books it once.
    Ok(booking.idempotency_key(format!("stripe-{}", segment(&event.id)?)))
}
