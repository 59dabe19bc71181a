"""Well-known providers that are not in the sheets: their rows follow the providers' public documents."""

import hmac

from signing import Provider, Signature, Token, answered, b64, refused

from .macs import GITHUB, META, two_signatures
from .timed import svix

P, S = Provider, Signature


def zoom_validation(provider):
    """endpoint.url_validation: signed like an event, answered with the HMAC of the token."""
    secret = provider.all_params()["secret"]
    token = "qgg8vlvZRS6UYooatFL8Aw"
    event = {"payload": {"plainToken": token}, "event_ts": 1790000000000, "event": "endpoint.url_validation"}
    expect = answered(json={"plainToken": token, "encryptedToken": hmac.digest(secret.encode(), token.encode(), "sha256").hex()})
    yield provider.case("handshake", provider.signed(event), expect)
    yield provider.case("handshake.refused", provider.signed(event, other=True), refused())


def slack_challenge(provider):
    event = {"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", "type": "url_verification"}
    yield provider.case("handshake", provider.signed(event), answered(body=event["challenge"]))
    yield provider.case("handshake.refused", provider.signed(event, other=True), refused())


def crc(provider):
    """X's challenge-response check."""
    secret, token = provider.all_params()["secret"], "MTc5MDAwMDAwMA"
    request = provider.make(b"")
    request.method, request.content_type, request.headers = "GET", "", []
    request.set_query("crc_token", token)
    expected = "sha256=" + b64(hmac.digest(secret.encode(), token.encode(), "sha256"))
    yield provider.case("handshake", request, answered(json={"response_token": expected}))


def figma_ping(provider):
    event = {"event_type": "PING", "passcode": "", "timestamp": "2026-09-21T14:13:18Z", "webhook_id": "22"}
    request = provider.auth.apply(provider.make(event), provider.all_params())
    yield provider.case("handshake", request, answered())
    request = provider.auth.put(provider.make(event), "another passcode")
    yield provider.case("handshake.refused", request, refused())


TABLE = [
    P("stripe", {"id": "evt_1Qx", "object": "event", "type": "invoice.paid", "data": {"object": {"id": "in_1Qx", "customer": "cus_9", "note": "Zoë"}}},
      S("stripe-signature", shape="t={timestamp},v1={signature}", signed="{timestamp}.{body}", tolerance=300),
      dedup="/id", order="/data/object/id"),
    P("slack", {"type": "event_callback", "event_id": "Ev9UQ52YNA", "team_id": "T1", "event": {"type": "message", "channel": "C2147483705", "text": "Hi ✓"}},
      S("x-slack-signature", signed="v0:{timestamp}:{body}", prefix="v0=", time="x-slack-request-timestamp", tolerance=300),
      dedup="/event_id", order="/event/channel", ack={"status": 200}, extra=slack_challenge),
    P("shopify", {"id": 820982911946154508, "email": "jon@example.com", "total_price": "398.00"},
      S("x-shopify-hmac-sha256", encoding="base64"), dedup="header:x-shopify-event-id", order="/id", ack={"status": 200},
      headers={"x-shopify-topic": "orders/create"}),
    P("hubspot", [{"eventId": 100, "subscriptionType": "contact.creation", "objectId": 123, "occurredAt": 1789999998000}],
      S("x-hubspot-signature-v3", signed="{method}{url}{body}{timestamp}", encoding="base64", time="x-hubspot-request-timestamp", unit="ms",
        tolerance=300),
      order="/0/objectId", batch=""),
    P("zoom", {"event": "meeting.started", "event_ts": 1789999998000, "payload": {"account_id": "AAAAAABBBB", "object": {"id": "1234567890", "topic": "Zürich"}}},
      S("x-zm-signature", signed="v0:{timestamp}:{body}", prefix="v0=", time="x-zm-request-timestamp", tolerance=300),
      order="/payload/object/id", ack={"status": 200}, extra=zoom_validation),
    svix("standard-webhooks", {"type": "user.created", "timestamp": "2026-09-21T14:13:18Z", "data": {"id": "1f81eb52"}}),
    svix("resend", {"type": "email.delivered", "created_at": "2026-09-21T14:13:18Z", "data": {"email_id": "56761188", "to": ["a@example.com"]}}, "svix",
         order="/data/email_id", ack={"status": 200}),
    P("calendly", {"event": "invitee.created", "created_at": "2026-09-21T14:13:18Z", "payload": {"uri": "https://api.calendly.com/scheduled_events/A/invitees/B"}},
      S("calendly-webhook-signature", shape="t={timestamp},v1={signature}", signed="{timestamp}.{body}", tolerance=300), order="/payload/uri"),
    P("linear", {"action": "update", "type": "Issue", "data": {"id": "2174add1", "title": "ß"}, "webhookTimestamp": 0},
      S("linear-signature", time="/webhookTimestamp", unit="ms"), dedup="header:linear-delivery", order="/data/id", ack={"status": 200},
      headers={"linear-event": "Issue"}),
    P("jira", {"timestamp": 1789999998000, "webhookEvent": "jira:issue_updated", "issue": {"id": "10002", "key": "ED-1"}},
      S("x-hub-signature", prefix=GITHUB), dedup="header:x-atlassian-webhook-identifier", order="/issue/key"),
    P("whatsapp", {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [{"field": "messages"}]}]},
      S("x-hub-signature-256", prefix=GITHUB), order="/entry/0/id", **META),
    P("x", {"for_user_id": "4337869213", "tweet_create_events": [{"id_str": "1", "text": "é"}]},
      S("x-twitter-webhooks-signature", prefix=GITHUB, encoding="base64"), order="/for_user_id", ack={"status": 200}, extra=crc),
    P("docusign", {"event": "envelope-completed", "data": {"accountId": "a1", "envelopeId": "93be49ab"}},
      S("x-docusign-signature-1", encoding="base64"), order="/data/envelopeId"),
    P("quickbooks", [{"specversion": "1.0", "id": "88cd52aa", "type": "qbo.invoice.created.v1", "intuitentityid": "95", "intuitaccountid": "310687"}],
      S("intuit-signature", encoding="base64"), dedup="/0/id", order="/0/intuitentityid", batch="", ack={"status": 200}),
    P("figma", {"event_type": "FILE_UPDATE", "file_key": "zH3k", "file_name": "Ä", "passcode": "", "webhook_id": "22"},
      Token("/passcode"), order="/file_key", ack={"status": 200}, extra=figma_ping),
    P("telegram", {"update_id": 10000, "message": {"message_id": 1365, "chat": {"id": 1111111}, "text": "/start"}},
      Token("x-telegram-bot-api-secret-token"), dedup="/update_id", order="/message/chat/id", ack={"status": 200}),
    P("pagerduty", {"event": {"id": "01BWGF4K", "event_type": "incident.triggered", "data": {"id": "PGR0VU2", "type": "incident"}}},
      S("x-pagerduty-signature", prefix="v1="), dedup="/event/id", order="/event/data/id", extra=two_signatures(lambda bad, good: f"{bad},{good}")),
    P("workos", {"id": "event_01", "event": "dsync.user.created", "data": {"id": "directory_user_01", "first_name": "Zoë"}},
      S("workos-signature", shape="t={timestamp}, v1={signature}", signed="{timestamp}.{body}", unit="ms", tolerance=300),
      dedup="/id", order="/data/id", ack={"status": 200}),
    P("squarespace", {"id": "5c2ba184b63ed3cb411ce2b1", "websiteId": "5f3c3d55", "topic": "order.create", "data": {"orderId": "5d4fa7ab"}},
      S("squarespace-signature", key="hex"), dedup="/id", order="/data/orderId"),
    P("cal-com", {"triggerEvent": "BOOKING_CREATED", "payload": {"uid": "bFJeNb2uX8ANpT3JL5EfXw", "title": "30 Min"}},
      S("x-cal-signature-256"), order="/payload/uid"),
    P("persona", {"data": {"type": "event", "id": "evt_7A", "attributes": {"name": "inquiry.completed", "payload": {"data": {"id": "inq_7A"}}}}},
      S("persona-signature", shape="t={timestamp},v1={signature}", signed="{timestamp}.{body}", tolerance=300),
      dedup="/data/id", order="/data/attributes/payload/data/id"),
]  # fmt: skip
