"""Providers that sign a time with the body: Standard Webhooks, pairs in one header, or a time in a header of its own."""

from signing import HOUR, NOW, Form, Provider, Signature, Token, answered, refused, standard

from .macs import front_challenge, two_signatures

P, S = Provider, Signature


def rotation(provider):
    """Several signatures with spaces between, and versions that a receiver must skip."""
    where = provider.auth.where.removeprefix("header:")
    good = provider.signed().header(where)
    bad = provider.auth.apply(provider.make(), provider.all_params(), other=True).header(where)
    for name, value in (("two-signatures", f"{bad} {good}"), ("other-version", f"v1a,{good[3:]} {good}")):
        request = provider.signed().set(where, value)
        yield provider.case(f"event.{name}", request, provider.stored(request))
    yield provider.case("refused.other-version-only", provider.signed().set(where, f"v1a,{good[3:]}"), refused())
    yield provider.case("refused.too-early", provider.signed(at=NOW + 4 * HOUR), refused())


def svix(name, event, prefix="webhook", key="whsec", dedup=True, order="", **more):
    auth = standard(prefix, key)
    return P(name, event, auth, dedup=f"header:{prefix}-id" if dedup else "", order=order, extra=rotation, **more)


def twitch_challenge(provider):
    event = {"challenge": "pogchamp-kappa-360noscope-vohiyo", "subscription": {"id": "f1c2a387", "type": "user.update", "status": "enabled"}}
    for name, other in (("handshake", False), ("handshake.refused", True)):
        request = provider.make(event).set("twitch-eventsub-message-type", "webhook_callback_verification")
        request = provider.auth.apply(request, provider.all_params(), other=other)
        yield provider.case(name, request, refused() if other else answered(body=event["challenge"]))


def quicknode_ping(provider):
    request = provider.make(b"PING")
    yield provider.case("handshake", request, answered(), note="Unsigned: the document does not say that it is signed.")


def all_pairs(provider):
    request = provider.signed()
    where = provider.auth.where.removeprefix("header:")
    good = request.header(where)
    yield provider.case("event.older-versions-first", request, provider.stored(request))
    request = provider.signed().set(where, good.split(",v3=")[0])
    yield provider.case("refused.newest-version-missing", request, refused(), note="The older versions in this request are made up.")


def moneybird_two(bad, good):
    time, signature = good.split(",")
    return f"{time},{bad.split(',')[1]},{signature}"


TABLE = [
    # Standard Webhooks
    svix("beehiiv", {"uid": "evt-1", "event_type": "subscription.confirmed", "data": {"id": "sub_1", "email": "a@example.com"}}, "svix"),
    svix("clerk", {"type": "user.created", "object": "event", "data": {"id": "user_29w83sxmDNGwOuEthce5gg56FcC", "first_name": "Zoë"}}, "svix",
         order="/data/id"),
    svix("incident-io", {"event_type": "public_incident.incident_created_v2", "incident": {"id": "01FDAG4SAP5TYPT98WGR2N7W91"}},
         order="/incident/id"),
    svix("lithic", {"event_type": "card_transaction.updated", "token": "764fa5a3", "status": "SETTLED"}, order="/token"),
    svix("loops", {"eventName": "contact.created", "eventTime": 1789999998, "contactIdentity": {"id": "cm4t1suns", "email": "t@example.com"}},
         order="/contactIdentity/id"),
    svix("mercury", {"id": "evt-1", "resourceType": "transaction", "resourceId": "tx-1", "operationType": "update"}, dedup=False),
    svix("polar", {"type": "subscription.updated", "timestamp": "2026-09-21T14:13:18Z", "data": {"id": "e4f1b5a2", "status": "active"}},
         key="text", order="/data/id"),
    svix("render", {"type": "deploy_ended", "timestamp": "2026-09-21T14:13:18Z", "data": {"id": "evj-1", "serviceId": "srv-1"}},
         order="/data/serviceId"),
    svix("stytch", {"action": "UPDATE", "event_id": "event-test-1", "id": "user-test-1", "object_type": "user"}, "svix", order="/id"),
    svix("svix", {"type": "invoice.paid", "data": {"id": "in_1"}}, "svix"),

    # Pairs in one header
    P("ascend", {"id": "evt_9", "type": "invoice.paid", "data": {"id": "inv_9"}},
      S("x-ascend-signature", shape="t={timestamp},v1={signature}", signed="{timestamp}:{body}"), dedup="/id", order="/data/id",
      ack={"status": 200}),
    P("buildkite", {"event": "build.finished", "build": {"id": "b-1", "state": "passed"}, "pipeline": {"id": "849411f9"}},
      S("x-buildkite-signature", shape="timestamp={timestamp},signature={signature}", signed="{timestamp}.{body}"),
      dedup="header:x-request-id", order="/pipeline/id", headers={"x-buildkite-event": "build.finished"},
      others={"token": Token("x-buildkite-token")}),
    P("cloudflare-stream", {"uid": "dd5d531a12de0c724bd1275a3b2bc9c6", "readyToStream": True, "status": {"state": "ready"}},
      S("webhook-signature", shape="time={timestamp},sig1={signature}", signed="{timestamp}.{body}"), order="/uid"),
    P("elevenlabs", {"type": "post_call_transcription", "event_timestamp": 1789999998, "data": {"conversation_id": "conv-1", "status": "done"}},
      S("elevenlabs-signature", shape="t={timestamp},v0={signature}", signed="{timestamp}.{body}"), order="/data/conversation_id"),
    P("ghost", {"post": {"current": {"id": "6a1f", "title": "Hallo Wörld", "status": "published"}, "previous": {}}},
      S("x-ghost-signature", shape="sha256={signature}, t={timestamp}", unit="ms", signed="{body}{timestamp}"), order="/post/current/id"),
    P("increase", {"id": "event_001dzz0r20rzr4zrhrr1364hy80", "category": "account.created", "associated_object_id": "account_in71c4amph0vgo2q"},
      S("increase-webhook-signature", shape="t={timestamp},v1={signature}", unit="iso", signed="{timestamp}.{body}"), dedup="/id",
      order="/associated_object_id"),
    P("knock", {"id": "1jNaXzB2RZX3LY8wVQnfCKyPnv7", "type": "message.sent", "data": {"id": "msg_1", "channel_id": "c"}},
      S("x-knock-signature", shape="t={timestamp},s={signature}", unit="ms", encoding="base64", signed="{timestamp}.{body}", tolerance=300),
      dedup="/id", order="/data/id"),
    P("moneybird", {"webhook_id": "1238392", "entity_type": "SalesInvoice", "entity_id": "4812", "action": "sales_invoice_created"},
      S("moneybird-signature", shape="t={timestamp},v1={signature}", signed="{timestamp}.{body}"), order="/entity_id",
      extra=two_signatures(moneybird_two)),
    P("moneyhash", {"type": "intent.processed", "intent": {"id": "Z2J7k9", "status": "PROCESSED"}},
      S("moneyhash-signature", shape="t={timestamp},v1=0a,v2=0b,v3={signature}", signed="{body64}{timestamp}"), order="/intent/id",
      extra=all_pairs),
    P("mux", {"id": "3a56ac3d", "type": "video.asset.ready", "object": {"type": "asset", "id": "0201p02fGKPE7MrbC269XRD7LpcHhrmbu0002"}},
      S("mux-signature", shape="t={timestamp},v1={signature}", signed="{timestamp}.{body}", tolerance=300), dedup="/id", order="/object/id"),
    P("paddle", {"event_id": "evt_01", "event_type": "subscription.created", "notification_id": "ntf_01", "data": {"id": "sub_01"}},
      S("paddle-signature", shape="ts={timestamp};h1={signature}", signed="{timestamp}:{body}"), dedup="/event_id", order="/data/id",
      ack={"status": 200}, extra=two_signatures(lambda bad, good: bad + ";" + good.split(";")[1])),
    P("recharge", {"charge": {"id": 72, "status": "SUCCESS"}},
      S("x-recharge-webhook-signature", shape="t={timestamp},v1={signature}", signed="{timestamp}.{body}", tolerance=172800),
      ack={"status": 200}),
    P("whereby", {"id": "e-1", "type": "room.client.joined", "data": {"roomName": "/standup", "meetingId": "7"}},
      S("whereby-signature", shape="t={timestamp},v1={signature}", signed="{timestamp}.{body}"), order="/data/roomName"),

    # A time in a header of its own
    P("airwallex", {"id": "evt_hk1", "name": "payment_intent.succeeded", "data": {"object": {"id": "int_1", "amount": 10.01}}},
      S("x-signature", signed="{timestamp}{body}", time="x-timestamp", unit="ms"), dedup="/id", order="/data/object/id"),
    P("akeneo", {"events": [{"action": "product.updated", "event_id": "79b8ee1b",
                             "data": {"resource": {"identifier": "écharpe-bleue"}}}]},
      S("x-akeneo-request-signature", signed="{timestamp}.{body}", time="x-akeneo-request-timestamp", tolerance=300),
      dedup="/events/0/event_id", order="/events/0/data/resource/identifier", batch="/events"),
    P("chatwoot", {"event": "message_created", "id": 1, "content": "hi", "conversation": {"id": 42}},
      S("x-chatwoot-signature", prefix="sha256=", signed="{timestamp}.{body}", time="x-chatwoot-timestamp"),
      dedup="header:x-chatwoot-delivery", order="/conversation/id"),
    P("close", {"event": {"id": "ev_1YJYz7kmjcXlZ", "object_type": "lead", "object_id": "lead_70jZ5hiVt5X3", "action": "updated"}},
      S("close-sig-hash", signed="{timestamp}{body}", time="close-sig-timestamp", key="hex"), dedup="/event/id", order="/event/object_id"),
    P("cloudinary", {"notification_type": "upload", "public_id": "samples/käse", "notification_context": "ctx-1", "bytes": 109669},
      S("x-cld-signature", algorithm="sha1", signed="{body}{timestamp}{secret}", time="x-cld-timestamp", tolerance=7200),
      dedup="/notification_context", order="/public_id",
      others={"sha256": S("x-cld-signature", algorithm="sha256", signed="{body}{timestamp}{secret}", time="x-cld-timestamp")}),
    P("crisp", {"website_id": "w-1", "event": "message:send", "data": {"session_id": "session_19e5", "content": "¿Qué tal?"}},
      S("x-crisp-signature", signed="[{timestamp};{body}]", time="x-crisp-request-timestamp", unit="ms"), order="/data/session_id"),
    P("customerio", {"event_id": "01E4C4CT6YDC7Y5M7FE1GWWPQJ", "object_type": "email", "metric": "opened", "data": {"customer_id": "42"}},
      S("x-cio-signature", signed="v0:{timestamp}:{body}", time="x-cio-timestamp"), dedup="/event_id", order="/data/customer_id"),
    P("faundit", {"event": "item.created", "data": {"id": "it_1", "title": "Schlüssel"}},
      S("x-faundit-signature-next", signed="v1:{timestamp}:{body}", time="x-faundit-timestamp"), order="/data/id"),
    P("front-application", {"type": "message.received", "payload": {"id": "evt_55c8c149", "conversation": {"id": "cnv_55c8c149"}}},
      S("x-front-signature", signed="{timestamp}:{body}", time="x-front-request-timestamp", unit="ms", encoding="base64"),
      dedup="/payload/id", order="/payload/conversation/id", extra=front_challenge),
    P("omise-opn", {"object": "event", "id": "evnt_test_5vxs0ajpo78", "key": "charge.complete", "data": {"id": "chrg_test_5vxs0ajp"}},
      S("omise-signature", signed="{timestamp}.{body}", time="omise-signature-timestamp", key="base64"), dedup="/id", order="/data/id",
      extra=two_signatures(lambda bad, good: f"{bad},{good}")),
    P("pylon", {"event": "issue.created", "data": {"id": "iss_1", "title": "It's broken"}},
      S("pylon-webhook-signature", prefix="hs256=", signed="{timestamp}.{body}", time="pylon-webhook-timestamp"), order="/data/id"),
    P("quicknode", [{"blockNumber": "0x1352b2e", "hash": "0xabc"}],
      S("x-qn-signature", signed="{header:x-qn-nonce}{timestamp}{body}", time="x-qn-timestamp"), extra=quicknode_ping),
    P("revolut", {"event": "ORDER_COMPLETED", "order_id": "9fc01989", "merchant_order_ext_ref": "Test #3928"},
      S("revolut-signature", prefix="v1=", signed="v1.{timestamp}.{body}", time="revolut-request-timestamp", unit="ms", tolerance=300),
      order="/order_id", extra=two_signatures(lambda bad, good: f"{bad},{good}")),
    P("sinch-conversation", {"app_id": "01EB37HMH1M6SV18BSNS3G135H", "message": {"id": "m-1", "conversation_id": "01EQ4174", "direction": "TO_APP"}},
      S("x-sinch-webhook-signature", signed="{body}.{header:x-sinch-webhook-signature-nonce}.{timestamp}", encoding="base64",
        time="x-sinch-webhook-signature-timestamp"),
      order="/message/conversation_id", headers={"x-sinch-webhook-signature-algorithm": "HmacSHA256"}),
    P("slack-slash-commands", Form([("token", "gIkuvaNzQIHg97ATvDxqgjtO"), ("team_id", "T0001"), ("channel_id", "C2147483705"),
                                    ("command", "/weather"), ("text", "94070 & more"), ("response_url", "https://hooks.slack.com/commands/1")]),
      S("x-slack-signature", prefix="v0=", signed="v0:{timestamp}:{body}", time="x-slack-request-timestamp", tolerance=300),
      order="form:channel_id", ack={"status": 200, "body": ""}),
    P("synctera", {"id": "e-1", "type": "ACCOUNT.CREATED", "event_resource_id": "acc-1"},
      S("synctera-signature", signed="{timestamp}.{body}", time="request-timestamp", tolerance=300), dedup="/id", order="/event_resource_id",
      ack={"status": 200}, extra=two_signatures(lambda bad, good: f"{bad}.{good}")),
    P("twitch", {"subscription": {"id": "f1c2a387", "type": "channel.follow"}, "event": {"user_id": "1234", "broadcaster_user_id": "1337"}},
      S("twitch-eventsub-message-signature", prefix="sha256=", signed="{header:twitch-eventsub-message-id}{timestamp}{body}",
        time="twitch-eventsub-message-timestamp", unit="iso-ns", tolerance=600),
      dedup="header:twitch-eventsub-message-id", order="/event/broadcaster_user_id", headers={"twitch-eventsub-message-type": "notification"},
      extra=twitch_challenge),
    P("webflow", {"triggerType": "form_submission", "payload": {"id": "6321ca84df3949bfc6752327", "name": "Contact Us"}},
      S("x-webflow-signature", signed="{timestamp}:{body}", time="x-webflow-timestamp", unit="ms", tolerance=300), order="/payload/id",
      ack={"status": 200}),
]  # fmt: skip
